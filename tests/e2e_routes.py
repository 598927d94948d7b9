#!/usr/bin/env python3
"""Routes end to end, with the real binary: stdin -> functions -> file. What fails becomes a dead letter and the rest goes on;
chains, outputs, order, batches, windows, crashes inside a function, replay, full disk, stop.

Each case is a function; usage: e2e_routes.py [case ...]"""
import contextlib, json, os, signal, subprocess, sys, threading, time
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kit

BUILD = os.environ.get("WEIR_BUILD", "build")
MOODY = os.path.abspath(os.path.join(BUILD, "tests/modules/moody.so"))
CHAIN = os.path.abspath(os.path.join(BUILD, "tests/modules/chain.so"))


def config(place, route="", more="", functions="", limits="", sink=""):
    functions = functions or f"moody: {{ module: {MOODY} }}"
    return place.write("weir.yaml", f"""
store: {{ path: ./store }}
limits: {{ workers: 2, stop: 5s {limits} }}
sources: {{ in: {{ type: stdin, key: payload.k }} }}
functions: {{ {functions} }}
sinks: {{ out: {{ type: file, path: ./out.txt {sink} }} {more} }}
routes:
  - {{ name: r, from: [ in ], retry: {{ attempts: 3, backoff: 1ms..5ms }}, {route or "call: moody, to: out"} }}
""")


def run(place, config_path, lines, code=0, timeout=20):
    done = subprocess.run([place.weir_path, "run", config_path], input="".join(line + "\n" for line in lines), text=True,
                          capture_output=True, timeout=timeout * kit.slow())
    with open(place.path("weir.log"), "a") as log:
        log.write(done.stderr)
    assert done.returncode == code, f"exit {done.returncode}, expected {code}\n{done.stderr[-2000:]}"
    return done.stderr


def out(place, name="out.txt"):
    try:
        with open(place.path(name)) as f:
            return f.read().splitlines()
    except FileNotFoundError:
        return []


def event(key, number, do="pass"):
    return json.dumps({"k": key, "n": number, "do": do}, separators=(",", ":"))


def numbers(lines):
    return [json.loads(line)["n"] for line in lines]


def dead(place, path):
    return kit.Weir(place, path).dead()


def case_all_pass_in_order_per_key(place):
    lines = [event(f"k{i % 7}", i) for i in range(5000)]
    run(place, config(place), lines)
    got = [json.loads(line) for line in out(place)]
    assert sorted(g["n"] for g in got) == list(range(5000))
    for key in {g["k"] for g in got}:
        mine = [g["n"] for g in got if g["k"] == key]
        assert mine == sorted(mine), key


def case_order_shard_keeps_all(place):
    path = config(place, "call: moody, to: out, order: shard, batch: { events: 7 }")
    run(place, path, [event(f"k{i % 7}", i) for i in range(2000)])
    assert numbers(out(place)) == list(range(2000))


def case_order_none_loses_nothing(place):
    lines = [event("k", i, "fail" if i % 100 == 50 else "pass") for i in range(2000)]
    path = config(place, "call: moody, to: out, order: none")
    run(place, path, lines)
    letters = dead(place, path)
    assert len(letters) == 20, len(letters)
    assert sorted(numbers(out(place))) == [i for i in range(2000) if i % 100 != 50]


def case_failed_events_become_dead_letters(place):
    path = config(place)
    run(place, path, [event("a", 1), event("a", 2, "fail"), event("a", 3), event("b", 4)])
    assert sorted(numbers(out(place))) == [1, 3, 4]
    letters = dead(place, path)
    assert len(letters) == 1 and "told to fail" in json.dumps(letters[0]) and letters[0]["attempts"] == 3, letters


def case_a_whole_failed_call_is_bisected(place):
    path = config(place, "call: moody, to: out, order: shard, batch: { events: 100 }")
    run(place, path, [event("a", i, "whole" if i in (13, 77) else "pass") for i in range(200)])
    assert numbers(out(place)) == [i for i in range(200) if i not in (13, 77)]
    assert len(dead(place, path)) == 2


def case_unknown_output_and_flood_are_failures(place):
    path = config(place)
    run(place, path, [event("a", 1, "noname"), event("b", 2, "flood"), event("c", 3)])
    assert numbers(out(place)) == [3]
    causes = json.dumps(dead(place, path))
    assert "no output nobody" in causes and "more than one batch may hold" in causes, causes


def case_a_chain_runs_as_one(place):
    functions = f"a: {{ module: {MOODY}, options: {{ mark: x }} }}, b: {{ module: {MOODY}, options: {{ mark: y }} }}"
    path = config(place, "call: [ a, b ], to: out", functions=functions)
    run(place, path, [event("a", 1), event("a", 2, "twice"), event("a", 3, "fail")])
    got = out(place)
    assert len(got) == 1 + 4 and all(line.endswith("xy") for line in got), got
    assert len(dead(place, path)) == 1


def case_a_list_of_sinks_gets_everything(place):
    path = config(place, "call: moody, to: [ out, two ]", more=", two: { type: file, path: ./two.txt }")
    run(place, path, [event("a", i) for i in range(100)])
    assert numbers(out(place)) == list(range(100)) == numbers(out(place, "two.txt"))


def case_events_without_function_go_straight(place):
    path = place.write("weir.yaml", "store: { path: ./store }\nsources: { in: { type: stdin } }\n"
                       "sinks: { out: { type: file, path: ./out.txt } }\nroutes: [ { from: [ in ], to: out } ]\n")
    lines = [f"line {i}" for i in range(10000)]
    run(place, path, lines)
    assert out(place) == lines


def case_empty_largest_and_too_large(place):
    path = place.write("weir.yaml", "store: { path: ./store }\nlimits: { event_bytes: 64KiB }\nsources: { in: { type: stdin } }\n"
                       "sinks: { out: { type: file, path: ./out.txt } }\nroutes: [ { from: [ in ], to: out } ]\n")
    lines = ["", "x" * 65536, "y" * 65537, "end"]
    log = run(place, path, lines)
    assert out(place) == ["", "x" * 65536, "end"], [len(line) for line in out(place)]
    assert "refused" in log, log


def case_an_event_time_that_cannot_be_read_is_refused(place):
    path = place.write("weir.yaml", "store: { path: ./store }\nsources: { in: { type: stdin, time: { field: payload.t, format: unix_s } } }\n"
                       "sinks: { out: { type: file, path: './{{time:%Y}}.txt' } }\nroutes: [ { from: [ in ], to: out } ]\n")
    log = run(place, path, ['{"t":0}', '{"t":"soon"}', '{}', 'nonsense', '{"t":1700000000}'])
    assert out(place, "1970.txt") == ['{"t":0}'] and out(place, "2023.txt") == ['{"t":1700000000}']
    assert log.count("refused") == 3, log


def case_a_small_window_and_batches_lose_nothing(place):
    path = config(place, "call: moody, to: out, batch: { events: 3, bytes: 200, wait: 2ms }, in_flight: { events: 10, bytes: 4KiB }")
    run(place, path, [event(f"k{i % 5}", i) for i in range(1000)])
    assert sorted(numbers(out(place))) == list(range(1000))


def case_a_crash_in_a_function_costs_one_event(place):
    path = config(place, "call: moody, to: out, batch: { events: 10 }")
    lines = [event(f"k{i % 4}", i, "crash" if i == 25 else "pass") for i in range(50)]
    codes = []
    for _ in range(12):
        done = subprocess.run([place.weir_path, "run", path], input="".join(line + "\n" for line in lines) if not codes else "",
                              text=True, capture_output=True, timeout=60 * kit.slow())
        codes.append(done.returncode)
        if done.returncode == 0:
            break
    assert codes[-1] == 0 and 1 <= len(codes) - 1 <= 4, codes
    assert sorted(set(numbers(out(place)))) == [i for i in range(50) if i != 25], numbers(out(place))
    letters = dead(place, path)
    assert len(letters) == 1 and "ended inside the call" in json.dumps(letters[0]), letters


def crash_until_done(place, path, lines, most):
    for runs in range(1, most + 1):
        done = subprocess.run([place.weir_path, "run", path], input="".join(line + "\n" for line in lines if runs == 1), text=True,
                              capture_output=True, timeout=30 * kit.slow())
        if done.returncode == 0:
            return runs
        assert done.returncode == -signal.SIGABRT, done.stderr[-2000:]
    raise AssertionError(f"still not done after {most} runs")


def case_a_crash_makes_no_dead_letters_of_its_neighbours(place):
    """Even with one attempt: who was in the call with it, or in one beside it, is called once more, alone."""
    path = config(place, "call: moody, to: out, lanes: 4")
    text = open(path).read()
    open(path, "w").write(text.replace("attempts: 3", "attempts: 1"))
    crash_until_done(place, path, [event(f"k{i % 20}", i, "crash" if i == 40 else "pass") for i in range(300)], 6)
    assert set(numbers(out(place))) == set(range(300)) - {40}
    assert [letter["position"] for letter in dead(place, path)] == [41]


def case_a_replay_that_ends_the_process_is_not_tried_again_by_itself(place):
    path = config(place)
    crash_until_done(place, path, [event("a", 1), event("a", 2, "crash"), event("a", 3)], 6)
    letter = dead(place, path)[0]
    kit.Weir(place, path).command("dead", "replay", path, "--all")
    assert crash_until_done(place, path, [], 3) == 2
    again = dead(place, path)
    assert len(again) == 1 and again[0]["id"] == letter["id"] and again[0]["replays"] == 1, again
    assert "replay" in json.dumps(again[0]["cause"])
    assert set(numbers(out(place))) == {1, 3}


def case_dead_letters_are_replayed_with_their_id(place):
    path = config(place)
    run(place, path, [event("a", 1, "fail"), event("a", 2)])
    before = dead(place, path)
    weir = kit.Weir(place, path)
    weir.command("dead", "replay", path, "--all")
    run(place, path, [])
    again = dead(place, path)
    assert len(again) == 1 and again[0]["id"] == before[0]["id"] and again[0]["replays"] == 1, again
    path = config(place, functions="moody: { type: pass }")
    weir.command("dead", "replay", path, "--all")
    run(place, path, [])
    assert dead(place, path) == [] and sorted(numbers(out(place))) == [1, 2], out(place)


def case_state_survives_a_clean_restart(place):
    functions = f"moody: {{ module: {CHAIN} }}"
    path = config(place, functions=functions)
    for part in range(3):
        run(place, path, [json.dumps({"k": f"k{i % 3}", "seq": i, "value": 1}).replace(" ", "") for i in range(part * 100, part * 100 + 100)])
    counts = {}
    for line in out(place):
        _, key, _, count, _ = line.split()
        counts[key] = counts.get(key, 0) + 1
        assert int(count) == counts[key], line
    assert sum(counts.values()) == 300


def feed(place, path):
    return subprocess.Popen([place.weir_path, "run", path], stdin=subprocess.PIPE, stderr=open(place.path("weir.log"), "ab"), text=True)


def pour(process, text):
    """Writes it beside, as fast as it is taken, and then ends the input."""
    def write():
        with contextlib.suppress(BrokenPipeError, ValueError):
            process.stdin.write(text)
            process.stdin.close()
    threading.Thread(target=write, daemon=True).start()


def case_sigterm_finishes_what_is_in_flight(place):
    functions = f"moody: {{ module: {MOODY}, options: {{ pause: 20ms }} }}"
    path = config(place, functions=functions)
    process = feed(place, path)
    place.processes.append(process)
    process.stdin.write("".join(event(f"k{i}", i) + "\n" for i in range(400)))
    process.stdin.flush()
    kit.wait_for("the first line", lambda: len(out(place)) > 0)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20 * kit.slow()) == 0
    run(place, path, [])
    assert sorted(numbers(out(place))) == list(range(400)), len(out(place))


def case_the_deadline_ends_a_call_that_never_returns(place):
    path = config(place).replace("weir.yaml", "weir.yaml")
    text = open(path).read().replace("stop: 5s", "stop: 300ms")
    open(path, "w").write(text)
    process = feed(place, path)
    place.processes.append(process)
    process.stdin.write(event("a", 1, "sleep") + "\n")
    process.stdin.flush()
    weir = kit.Weir(place, path)
    kit.wait_for("the call", lambda: (weir.status() or {"routes": [{"calls": 0}]})["routes"][0]["calls"] == 1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20 * kit.slow()) == 1


def case_a_second_signal_exits_at_once(place):
    path = config(place).replace("weir.yaml", "weir.yaml")
    process = feed(place, path)
    place.processes.append(process)
    process.stdin.write(event("a", 1, "sleep") + "\n")
    process.stdin.flush()
    weir = kit.Weir(place, path)
    kit.wait_for("the call", lambda: (weir.status() or {"routes": [{"calls": 0}]})["routes"][0]["calls"] == 1)
    process.send_signal(signal.SIGTERM)
    kit.wait_for("stopping", lambda: "stopping" in place.log("weir"))
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 1 and time.monotonic() - begin < 2 * kit.slow()


def case_on_failure_stop_stops_the_route(place):
    path = config(place, "call: moody, to: out, on_failure: stop, order: shard, batch: { events: 1 }")
    run(place, path, [event("a", 1), event("a", 2, "fail"), event("a", 3)], code=1)
    assert numbers(out(place)) == [1] and dead(place, path) == []
    path = config(place, "to: out", functions="unused: { type: pass }").replace("weir.yaml", "weir.yaml")
    text = open(path).read().replace("functions: { unused: { type: pass } }\n", "")
    open(path, "w").write(text)
    run(place, path, [])
    assert numbers(out(place)) == [1, 2, 3], out(place)


def handed_over(place):
    module = os.path.abspath(os.path.join(BUILD, "tests/modules/handover.so"))
    path = place.write("weir.yaml", f"""
store: {{ path: ./store }}
sources: {{ in: {{ module: {module} }} }}
sinks: {{ out: {{ module: {module} }} }}
routes: [ {{ name: r, from: [ in ], to: out }} ]
""")
    return run(place, path, [])


def case_a_shard_is_taken_away_softly_then_for_good(place):
    assert "handed over, 5 writes" in handed_over(place)


def case_a_new_route_begins_where_the_others_are_not(place):
    def generated(count, routes):
        names = "".join(f"  - {{ name: {name}, from: [ in ], to: {name} }}\n" for name in routes)
        sinks = ", ".join(f"{name}: {{ type: file, path: ./{name}.txt }}" for name in routes)
        run(place, place.write("weir.yaml", f"store: {{ path: ./store }}\nsinks: {{ {sinks} }}\nsources: {{ in: {{ type: "
                               f"generate, payload: '{{{{seq}}}}', count: {count} }} }}\nroutes:\n{names}"), [])
    generated(500, ["one"])
    generated(900, ["one", "two"])
    assert out(place, "one.txt") == out(place, "two.txt") == [str(i) for i in range(1, 901)]


def case_a_full_store_stops_acceptance_and_recovers(place):
    if os.geteuid() != 0:
        kit.skip("root", "mounting a small file system needs root")
    disk = place.path("disk")
    os.mkdir(disk)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", disk], check=True)
    try:
        functions = f"moody: {{ module: {MOODY}, options: {{ pause: 200ms }} }}"
        path = config(place, functions=functions, route="call: moody, to: out, order: shard, batch: { events: 20 }, in_flight: { events: 20 }")
        text = open(path).read().replace("path: ./store", f"path: {disk}/store, size_max: 64MiB")
        open(path, "w").write(text)
        process = feed(place, path)
        place.processes.append(process)
        count, filler = 0, "x" * 9000
        os.set_blocking(process.stdin.fileno(), False)

        def push():
            nonlocal count
            try:
                line = json.dumps({"k": "a", "n": count, "f": filler}) + "\n"
                done = os.write(process.stdin.fileno(), line.encode())
                while done < len(line):
                    time.sleep(0.001)
                    try:
                        done += os.write(process.stdin.fileno(), line[done:].encode())
                    except BlockingIOError:
                        pass
                count += 1
            except BlockingIOError:
                time.sleep(0.001)
            return "no room" in place.log("weir") or count >= 3000
        kit.wait_for("a full store", push, 90)
        assert "no room" in place.log("weir"), f"{count} events fitted"
        process.stdin.close()
        kit.wait_for("room again", lambda: "there is room again" in place.log("weir"), 90)
        assert process.wait(120 * kit.slow()) == 0
        assert numbers(out(place)) == list(range(count)), (len(out(place)), count)
    finally:
        for process in place.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        subprocess.run(["umount", disk], check=True)


def case_a_store_full_of_dead_letters_waits_until_some_are_dropped(place):
    """A dead letter takes more room than its event in the journal: the way out is to drop some, and it goes on by itself."""
    if kit.slow() > 1:
        kit.skip("release", "a slow build does not fill the store before it empties it")
    functions = f"moody: {{ module: {MOODY}, options: {{ pause: 20ms }} }}"  # so slow that the journal fills the store first
    path = config(place, "call: moody, to: out, order: none, batch: { events: 5 }", functions=functions)
    text = open(path).read()
    open(path, "w").write(text.replace("path: ./store", "path: ./store, size_max: 16MiB").replace("attempts: 3", "attempts: 1"))
    process, count, dropped = feed(place, path), 2500, 0
    place.processes.append(process)
    lines = "".join(event(f"k{i % 40}", i, "fail")[:-1] + ',"f":"' + "x" * 9000 + '"}\n' for i in range(count))
    pour(process, lines)
    weir = kit.Weir(place, path)
    said = "even for checkpoints and dead letters"
    kit.wait_for("a store that is full of dead letters", lambda: said in place.log("weir"))
    assert place.log("weir").count(said) == 1

    def drop():
        nonlocal dropped
        told = weir.command("dead", "drop", path, "--all", check=False)
        dropped += int(told.split()[0]) if told and told.split()[0].isdigit() else 0
        return process.poll() is not None
    kit.wait_for("an end", drop, 60)
    assert process.returncode == 0 and "room for checkpoints again" in place.log("weir")
    assert dropped + len(weir.dead()) == count and out(place) == [], dropped


def two_routes(place, routes):
    more = ", b: { type: file, path: ./shut/b.txt }" if "to: b" in routes else ""
    return place.write("weir.yaml", f"""
store: {{ path: ./store }}
limits: {{ workers: 1, stop: 2s }}
sources: {{ in: {{ type: stdin, key: payload.k }} }}
sinks: {{ a: {{ type: file, path: ./a.txt }} {more} }}
routes: [ {routes} ]
""")


def case_a_blocked_route_holds_its_journal_max_and_no_more_when_it_is_gone(place):
    a, b = "{ name: ra, from: [ in ], to: a }", "{ name: rb, from: [ in ], to: b, journal_max: 1MiB }"
    open(place.path("shut"), "w").close()  # a file where b's folder should be
    path = two_routes(place, f"{a}, {b}")
    process = feed(place, path)
    place.processes.append(process)
    lines = "".join(event(f"k{i % 7}", i)[:-1] + ',"f":"' + "x" * 1000 + '"}\n' for i in range(20000))
    pour(process, lines)
    weir = kit.Weir(place, path)

    def held():
        now = weir.status()
        routes = {r["name"]: r for r in now["routes"]} if now else {}
        return now and "journal_max" in routes["rb"].get("holds", "") and routes["ra"]["open_events"] == 0 and (now, routes)
    now, routes = kit.wait_for("journal_max", held)
    source = now["sources"][0]
    assert source["journal_bytes"] < 3 << 20 and source["credit_events"] == 0, source
    assert "holds" not in routes["ra"] and routes["ra"]["completed_total"] == source["accepted_total"] < 20000
    process.kill()
    process.wait()
    accepted = source["accepted_total"]
    path = two_routes(place, a)
    run(place, path, [event("k", accepted)])
    positions = json.loads(weir.command("checkpoint", "show", path, "-o", "json"))
    assert [j for j in positions["journals"] if j.get("blocks")] == [], positions
    os.unlink(place.path("shut"))
    path = two_routes(place, f"{a}, {b}")
    told = run(place, path, [event("k", accepted + 1)])
    assert f"events 1 to {accepted + 1} are not in the store; passed over" in told, told
    assert numbers(out(place, "shut/b.txt")) == [accepted + 1]
    assert sorted(numbers(out(place, "a.txt"))) == list(range(accepted + 2))


def case_a_sink_that_is_gone_is_waited_for(place):
    os.mkdir(place.path("gone"))
    path = config(place, "call: moody, to: out").replace("weir.yaml", "weir.yaml")
    text = open(path).read().replace("./out.txt", "./later/out.txt")
    open(path, "w").write(text)
    process = feed(place, path)
    place.processes.append(process)
    open(place.path("later"), "w").close()  # a file where the folder should be
    process.stdin.write(event("a", 1) + "\n")
    process.stdin.flush()
    weir = kit.Weir(place, path)
    if not kit.wait_for("an answer", lambda: process.poll() is not None or (weir.status() or {"routes": [{}]})["routes"][0].get("blocked_since")):
        raise SystemExit("neither refused nor blocked")
    if process.poll() is None:
        os.unlink(place.path("later"))
        os.mkdir(place.path("later"))
        process.stdin.close()
        assert process.wait(60 * kit.slow()) == 0
        assert numbers(out(place, "later/out.txt")) == [1]


def case_a_journal_without_its_head_goes_on_where_it_was(place):
    """The record of the last position that was given is damaged: nothing accepted is lost, and no number is given twice."""
    path = config(place)
    text = open(path).read()
    open(path, "w").write(text.replace("./out.txt", "./weir.yaml/no/way"))
    process = feed(place, path)
    place.processes.append(process)
    process.stdin.write("".join(event(f"k{i % 7}", i) + "\n" for i in range(3000)))
    process.stdin.flush()
    weir = kit.Weir(place, path)
    kit.wait_for("all accepted", lambda: (weir.status() or {"sources": [{}]})["sources"][0].get("accepted_total") == 3000)
    process.kill()
    process.wait()
    with open(place.path("store/data.mdb"), "r+b") as f:
        data, key, at = f.read(), b"\5\0\0in\0\0", 0  # its size, and the key
        while (at := data.find(key, at + 1)) >= 0:  # also in pages that are no more in use
            f.seek(at + len(key) + 8)
            f.write(bytes([data[at + len(key) + 8] ^ 0x55]))
    open(path, "w").write(text)
    told = run(place, path, [event("k0", i) for i in range(3000, 3010)])
    assert "the record of its last position is damaged" in told, told
    assert sorted(numbers(out(place))) == list(range(3010)), len(out(place))
    told = run(place, path, [event("k0", 3010)])
    assert "is damaged" not in told and sorted(numbers(out(place))) == list(range(3011))


kit.run_cases(globals(), BUILD, "routes")
