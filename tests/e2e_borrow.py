#!/usr/bin/env python3
"""Borrowed memory goes back although a little of it is stuck: behind a sink that fails, behind one that does not answer, behind a
function that fails; the charge falls, and what comes out in the end is what was lent.

Usage: e2e_borrow.py [case ...]"""
import json, os, subprocess, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kit

BUILD = os.environ.get("WEIR_BUILD", "build")
LENDER = os.path.abspath(os.path.join(BUILD, "tests/modules/lender.so"))


def config(place, route, source="", sink="", name="weir.yaml"):
    functions = f"functions: {{ f: {{ module: {LENDER}, function: borrower, options: {{ gate: ./gate }} }} }}\n" if "call: f" in route else ""
    return place.write(name, f"""
store: {{ path: ./store }}
limits: {{ workers: 2, memory: 256MiB, stop: 20s }}
log: {{ level: info }}
sources: {{ in: {{ module: {LENDER}, {source} }} }}
{functions}sinks: {{ out: {{ module: {LENDER}, path: ./out.txt, gate: ./gate {sink} }} }}
routes: [ {{ name: r, from: [ in ], to: out, {route} }} ]
""")


def given_back(place):
    try:
        with open(place.path("back.txt")) as f:
            return set(f.read().split())
    except FileNotFoundError:
        return set()


def memory(weir):
    return (weir.status() or {}).get("memory_bytes")


def lines(place):
    with open(place.path("out.txt")) as f:
        return f.read().splitlines()


def stuck_then_free(place, path, count, blocks, left, most):
    """All blocks but `left` come back while the gate is closed, the charge is below `most`; then everything comes, as it was."""
    weir = kit.Weir(place, path).start()
    kit.wait_for("borrowed memory given back", lambda: len(given_back(place)) >= blocks - left)
    kit.wait_for("a lower charge", lambda: memory(weir) is not None and memory(weir) < most)
    seen = len(lines(place))
    assert 0 < seen < count, f"{seen} of {count}: nothing is stuck"
    route = weir.status()["routes"][0]
    assert route["completed_total"] + route["open_events"] == count, route
    place.write("gate", "")
    assert weir.process.wait(60 * kit.slow()) == 0
    assert len(given_back(place)) == blocks
    got = lines(place)
    assert not [line for line in got if line.startswith("spoiled")], got[:3]
    numbers = sorted(int(line.split()[0]) for line in got)
    assert numbers == list(range(1, count + 1)), len(numbers)
    for key in {line.split()[1] for line in got}:
        mine = [int(line.split()[0]) for line in got if line.split()[1] == key]
        if "order: none" not in open(path).read():
            assert mine == sorted(mine), key
    assert weir.dead() == []


def case_behind_a_sink_that_fails(place):
    path = config(place, "lanes: 64, batch: { events: 50 }", "count: 4000, block: 200, stuck: 100", ", fails: true")
    stuck_then_free(place, path, 4000, 20, 0, 1 << 20)


def case_behind_a_sink_that_does_not_answer(place):
    """One write of each stuck lane is with the sink and keeps the block that it looks into; what waits behind it does not."""
    path = config(place, "lanes: 64, batch: { events: 1 }", "count: 4000, block: 200, stuck: 100")
    stuck_then_free(place, path, 4000, 20, 7, 3 << 20)


def case_behind_a_function_that_fails(place):
    path = config(place, "call: f, lanes: 64, retry: { attempts: 1000000, backoff: 10ms..50ms }",
                  "count: 4000, block: 200, stuck: 100")
    stuck_then_free(place, path, 4000, 20, 0, 1 << 20)


def case_without_order(place):
    path = config(place, "call: f, order: none, retry: { attempts: 1000000, backoff: 150ms..400ms }",
                  "count: 4000, block: 200, stuck: 100")
    stuck_then_free(place, path, 4000, 20, 0, 1 << 20)


def case_one_event_that_pins_much(place):
    """A block of one event, as a log's client gives them, may stand for a whole fetch."""
    path = config(place, "lanes: 64, batch: { events: 1 }", "count: 40, block: 1, stuck: 2, pin: 1MiB", ", fails: true")
    stuck_then_free(place, path, 40, 40, 0, 1 << 20)


def case_the_last_block_of_a_route_that_idles(place):
    path = config(place, "lanes: 4", "count: 400, block: 200, stuck: 1000, ends: false")
    weir = kit.Weir(place, path).start()
    kit.wait_for("all of the memory given back", lambda: len(given_back(place)) == 2)
    kit.wait_for("nothing charged", lambda: memory(weir) == 0)
    assert weir.stop() == 0 and len(lines(place)) == 400


def case_events_that_come_out_of_settle(place):
    path = config(place, "lanes: 4", "count: 4000, block: 200, stuck: 1000, late: true")
    place.write("gate", "")
    done = subprocess.run([place.weir_path, "run", path], capture_output=True, text=True, timeout=60 * kit.slow())
    assert done.returncode == 0, done.stderr[-2000:]
    assert [int(line.split()[0]) for line in sorted(lines(place), key=lambda l: int(l.split()[0]))] == list(range(1, 4001))


def case_a_note_is_stored_with_its_positions(place):
    """Killed at any moment, a start finds the note of the very position that it begins after."""
    source = "count: 10000000, block: 1, stuck: 10000000, notes: true, ends: false"
    path = config(place, "lanes: 4, batch: { events: 10 }, in_flight: { events: 50 }", source)
    text = open(path).read().replace(" } ]\n", " }, { name: r2, from: [ in ], to: out, batch: { events: 10 }, in_flight: { events: 20 } } ]\n")
    place.write("weir.yaml", text)
    place.write("gate", "")
    weir, before = kit.Weir(place, path), 0
    for round in range(12):
        weir.start()

        def further():
            now = weir.status()
            return now and min(s["completed"] for s in now["sources"][0]["shards"]) > before and now
        before = kit.wait_for("progress", further)["sources"][0]["shards"][0]["completed"] + round * 7
        weir.kill()
    assert "is not that of" not in place.log("weir"), place.log("weir")[-1000:]


MOODY = os.path.abspath(os.path.join(BUILD, "tests/modules/moody.so"))


def journaled(place, memory, routes, more=""):
    return place.write("weir.yaml", f"""
store: {{ path: ./store }}
limits: {{ workers: 1, memory: {memory}, event_bytes: 1MiB, stop: 5s }}
sources: {{ in: {{ type: stdin, key: payload.k }} }}
functions: {{ moody: {{ module: {MOODY} }} }}
sinks: {{ out: {{ type: file, path: ./out.txt }} {more} }}
routes: {routes}
""")


def feed(place, path, count, size, stuck=0):
    """Feeds events, those with a number that `stuck` divides fail for ever."""
    with open(place.path("in.txt"), "w") as f:
        for i in range(1, count + 1):
            bad = stuck and i % stuck == 0
            f.write(json.dumps({"k": "bad" if bad else f"k{i % 50}", "n": i, "do": "fail" if bad else "pass", "f": "x" * size},
                               separators=(",", ":")) + "\n")
    log = open(place.path("weir.log"), "ab")
    process = subprocess.Popen([place.weir_path, "run", path], stdin=open(place.path("in.txt")), stderr=log)
    place.processes.append(process)
    return process


def case_one_lane_that_is_stuck_does_not_hold_the_journals_blocks(place):
    """Every 64 KiB block has an event of the stuck lane; all that is charged for is those."""
    path = journaled(place, "64MiB", "[ { name: r, from: [ in ], call: moody, to: out, lanes: 64, "
                     "retry: { attempts: 1000000, backoff: 10ms..50ms } } ]")
    process = feed(place, path, 20000, 1000, 50)
    weir = kit.Weir(place, path)

    def done():
        now = weir.status()
        return now and now["sources"][0]["accepted_total"] == 20000 and now["routes"][0]["open_events"] < 4000 and now
    kit.wait_for("all but the stuck lane", done, 60)
    kit.wait_for("a charge for what is open alone", lambda: memory(weir) is not None and memory(weir) < 8 << 20)
    assert process.poll() is None


def case_a_blocked_route_leaves_memory_to_the_others(place):
    path = journaled(place, "16MiB", "[ { name: blocked, from: [ in ], to: shut, journal_max: 1GiB }, { name: r, from: [ in ], call: moody, to: out } ]",
                     ", shut: { type: file, path: ./in.txt/no/way.txt }")
    process = feed(place, path, 100, 500000)
    weir = kit.Weir(place, path)

    def done():
        now = weir.status()
        return now and {r["name"]: r["completed_total"] for r in now["routes"]}["r"] == 100 and now
    now = kit.wait_for("all events on the other route", done)
    assert now["memory_bytes"] < 16 << 20
    assert {r["name"]: r["state"] for r in now["routes"]}["blocked"] == "retrying"
    process.kill()
    process.wait()


kit.run_cases(globals(), BUILD, "borrow")
