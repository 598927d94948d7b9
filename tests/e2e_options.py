#!/usr/bin/env python3
"""The options that every source, function, sink and route has, and those of the process, by the real binary: each case fails
when its option is ignored. Those of the plug-ins are in e2e_plugins.py, e2e_file.py and the tests of the mqtt module.

Each case is a function; usage: e2e_options.py [case ...]"""
import json, os, signal, subprocess, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kit

BUILD = os.environ.get("WEIR_BUILD", "build")
CENSUS = os.path.abspath(os.path.join(BUILD, "tests/modules/census.so"))
FILE = "type: file, path: ./out.txt"


def config(place, route="", source="type: stdin", function="", sink=FILE, pause="0s", top="", store=""):
    return place.write("weir.yaml", f"""
store: {{ path: ./store{store} }}
sources: {{ in: {{ {source} }} }}
functions: {{ f: {{ module: {CENSUS}, options: {{ pause: {pause} }} {function} }} }}
sinks: {{ out: {{ {sink} }} }}
routes: [ {{ name: r, from: [ in ], call: f, to: out {route} }} ]
{top}
""")


def run(place, path, lines, code=0):
    """What it wrote to stderr; every case has a store of its own, even the second run of one."""
    text = "".join(line + "\n" for line in lines)
    done = subprocess.run([place.weir_path, "run", path], input=text, text=True, capture_output=True, timeout=60 * kit.slow())
    assert done.returncode == code, f"exit {done.returncode}\n{done.stderr[-2000:]}"
    return done.stderr


def census(place, path, lines):
    run(place, path, lines)
    got = [json.loads(line) for line in open(place.path("out.txt"))]
    for name in ("out.txt", "store/data.mdb", "store/lock.mdb"):
        os.unlink(place.path(name))
    return got


def most(place, field, lines, **options):
    return max(each[field] for each in census(place, config(place, **options), lines))


def feed(place, path, text=None, lines=None):
    """A weir that was given this text and keeps its input open; or reads these lines from a file."""
    given = subprocess.PIPE if lines is None else open(place.write("input", "".join(line + "\n" for line in lines)))
    process = subprocess.Popen([place.weir_path, "run", path], stdin=given, stderr=open(place.path("weir.log"), "ab"))
    place.processes.append(process)
    if text:
        process.stdin.write(text.encode())
        process.stdin.flush()
    return process, kit.Weir(place, path)


def route_of(weir):
    return (weir.status() or {"routes": [{}]})["routes"][0]


def accepted(weir):
    return (weir.status() or {"sources": [{"accepted_total": 0}]})["sources"][0]["accepted_total"]


def killed(process):
    process.kill()
    process.wait()


KEYED = "type: stdin, key: payload.k"
EVENTS = [json.dumps({"k": f"k{i}", "n": i}) for i in range(60)]
ONE_KEY = [json.dumps({"k": "k", "n": i}) for i in range(20)]
AT_ONCE = {"source": KEYED, "pause": "20ms"}
SMALL = ", batch: { events: 1 }"
THREE = "limits: { workers: 3 }"


# How many calls run at once.

def case_workers(place):
    assert most(place, "most", EVENTS, route=SMALL, top="limits: { workers: 1 }", **AT_ONCE) == 1
    assert most(place, "most", EVENTS, route=SMALL, top=THREE, **AT_ONCE) == 3


def case_concurrency(place):
    assert most(place, "most", EVENTS, route=SMALL, top=THREE, function=", concurrency: 1", **AT_ONCE) == 1
    assert most(place, "most", EVENTS, route=SMALL, top=THREE, function=", concurrency: 2", **AT_ONCE) == 2


def case_lanes(place):
    assert most(place, "most", EVENTS, route=SMALL + ", lanes: 1", top=THREE, **AT_ONCE) == 1
    assert most(place, "most", EVENTS, route=SMALL + ", lanes: 2", top=THREE, **AT_ONCE) == 2


def case_order(place):
    for order, lines, expected in (("key", ONE_KEY, 1), ("key", EVENTS, 3), ("shard", EVENTS, 1), ("none", ONE_KEY, 3)):
        got = most(place, "most", lines, route=f"{SMALL}, order: {order}", top=THREE, **AT_ONCE)
        assert got == expected, (order, got)


# Batches and the window.

def case_batch_events(place):
    lines = [str(i) for i in range(400)]
    assert most(place, "count", lines, route=", order: shard, batch: { events: 7 }", pause="20ms") == 7
    assert most(place, "count", lines, route=", order: shard", pause="20ms") > 7


def case_batch_bytes(place):
    lines = ["x" * 100] * 400
    assert 500 < most(place, "bytes", lines, route=", order: shard, batch: { bytes: 1000 }", pause="20ms") <= 1000
    assert most(place, "bytes", lines, route=", order: shard", pause="20ms") > 1000


def case_batch_wait(place):
    path = config(place, ", order: shard, batch: { events: 2, wait: 1h }")
    process, weir = feed(place, path, "one\n")
    kit.wait_for("an open event", lambda: route_of(weir).get("open_events") == 1)
    assert route_of(weir)["calls_total"] == 0 and not os.path.exists(place.path("out.txt"))
    process.stdin.write(b"two\n")
    process.stdin.close()
    assert process.wait(60 * kit.slow()) == 0
    assert [json.loads(line)["count"] for line in open(place.path("out.txt"))] == [2, 2]


def case_in_flight_events(place):
    process, weir = feed(place, config(place, ", order: shard, batch: { events: 5 }, in_flight: { events: 10 }", pause="1h"), lines=EVENTS)
    kit.wait_for("the window", lambda: accepted(weir) == 60 and route_of(weir)["open_events"] >= 10)
    assert route_of(weir)["open_events"] == 10
    killed(process)


def open_bytes(place, route="", top="", **options):
    """How much is open when 3 MB wait for a call that does not return."""
    path = config(place, route, pause="1h", top=top, **options)
    process, weir = feed(place, path, lines=["x" * 999] * 3000)
    kit.wait_for("all in the journal", lambda: accepted(weir) == 3000)
    bytes_open = route_of(weir)["open_bytes"]
    killed(process)
    for name in ("store/data.mdb", "store/lock.mdb"):
        os.unlink(place.path(name))
    return bytes_open


def case_in_flight_bytes(place):
    """The last event may go beyond."""
    assert 8192 <= open_bytes(place, ", order: shard, batch: { bytes: 2KiB }, in_flight: { bytes: 8KiB }") <= 8192 + 1000
    assert open_bytes(place, ", order: shard, batch: { bytes: 2KiB }") > 100000


def case_memory(place):
    path = config(place, ", batch: { bytes: 64KiB }", pause="1h", top="limits: { memory: 1MiB, event_bytes: 64KiB }")
    process, weir = feed(place, path, lines=["x" * 999] * 3000)
    kit.wait_for("everything in the journal, and little of it in memory", lambda: accepted(weir) == 3000)
    status = weir.status()
    assert status["memory_max"] == 1 << 20 and 100000 < status["memory_bytes"] < 1 << 20, status
    killed(process)
    os.unlink(place.path("store/data.mdb"))
    assert open_bytes(place) > 1 << 20


def waits_for(place, path, text, said):
    """Gives lines until `said(weir)`; the pipe is read no more then."""
    process, weir = feed(place, path)
    os.set_blocking(process.stdin.fileno(), False)

    def push():
        try:
            for _ in range(20):
                os.write(process.stdin.fileno(), text)
        except BlockingIOError:
            pass
        return said(weir)
    kit.wait_for("the limit", push)
    killed(process)


def case_journal_max(place):
    path = config(place, ", batch: { events: 5 }, in_flight: { events: 5 }, journal_max: 64KiB", pause="1h")
    waits_for(place, path, b"x" * 999 + b"\n", lambda weir: "journal_max" in route_of(weir).get("holds", ""))


def case_size_max(place):
    path = config(place, pause="1h", store=", size_max: 24MiB")
    waits_for(place, path, b"x" * 3999 + b"\n", lambda weir: "no room" in place.log("weir"))
    assert os.path.getsize(place.path("store/data.mdb")) <= 24 << 20


# Failures.

def case_retry_of_a_route(place):
    """300 attempts with the default back-off would take an hour."""
    path = config(place, ", retry: { attempts: 300, backoff: 1ms..2ms }")
    run(place, path, ["fail"])
    assert [letter["attempts"] for letter in kit.Weir(place, path).dead()] == [300]


def case_bisect(place):
    for bisect, dead in (("true", 1), ("false", 10)):
        path = config(place, f", order: shard, batch: {{ events: 10, wait: 1h }}, retry: {{ attempts: 2, backoff: 1ms..2ms, bisect: {bisect} }}")
        run(place, path, ["fail" if i == 5 else str(i) for i in range(10)])
        letters = kit.Weir(place, path).dead()
        assert len(letters) == dead, (bisect, len(letters))
        os.unlink(place.path("store/data.mdb"))


def case_retry_of_a_sink(place):
    os.mkdir(place.path("out.txt"))
    path = config(place, sink=FILE + ", retry: { attempts: 300, backoff: 1ms..2ms }")
    run(place, path, ["x"])
    letters = kit.Weir(place, path).dead()
    assert [letter["attempts"] for letter in letters] == [300] and "Is a directory" in json.dumps(letters), letters


def case_on_failure(place):
    retry = "retry: { attempts: 1 }, order: shard"
    path = config(place, f", {retry}, on_failure: stop")
    run(place, path, ["fail"], code=1)
    assert kit.Weir(place, path).dead() == []
    path = config(place, f", {retry}, on_failure: dead_letter")
    run(place, path, [])
    assert len(kit.Weir(place, path).dead()) == 1


# What a source's own words say.

def case_id_and_name(place):
    path = config(place, ", retry: { attempts: 1 }", "type: stdin, id: payload.i")
    run(place, path, ['{"i":"my-own","do":"fail"}', '{"do":"fail"}'])
    letters = kit.Weir(place, path).dead()
    ids = [letter["id"] for letter in letters]
    assert "my-own" in ids and all("/in/" in i for i in ids if i != "my-own") and len(ids) == 2, ids
    assert all(letter["route"] == "r" for letter in letters)


def case_time(place):
    for written, value in ("unix_ms", 1700000000123), ("unix_s", 1700000000), ("rfc3339", "2023-11-14T22:13:20Z"):
        source = f"type: stdin, time: {{ field: payload.t, format: {written} }}"
        path = place.write("weir.yaml", f"store: {{ path: ./store }}\nsources: {{ in: {{ {source} }} }}\n"
                           f"sinks: {{ out: {{ type: file, path: './{written}-{{{{time:%Y-%m-%dT%H:%M:%S}}}}.txt' }} }}\n"
                           "routes: [ { from: [ in ], to: out } ]\n")
        run(place, path, [json.dumps({"t": value})])
        assert os.path.exists(place.path(f"{written}-2023-11-14T22:13:20.txt")), os.listdir(place.folder)


# The process.

def case_log_level(place):
    """The mqtt tests wait for what only `debug` says."""
    said = {level: run(place, config(place, ", retry: { attempts: 1 }", top=f"log: {{ level: {level} }}"), ["fail"])
            for level in ("error", "warn", "info")}
    assert said["error"] == "" and "dead letter" in said["warn"] and "ready" not in said["warn"], said
    assert "dead letter" in said["info"] and "ready" in said["info"], said


def case_log_format(place):
    said = run(place, config(place, top="log: { format: json }"), ["x"]).splitlines()
    assert said and all(json.loads(line)["message"] for line in said)
    assert not run(place, config(place, top="log: { format: text }"), ["x"]).startswith("{")


def case_stop(place):
    process, weir = feed(place, config(place, pause="1h", top="limits: { stop: 200ms }"), "x\n")
    kit.wait_for("a call", lambda: route_of(weir).get("calls") == 1)
    process.send_signal(signal.SIGTERM)
    try:
        assert process.wait(5 * kit.slow()) == 1  # the default is 10 s
    finally:
        process.stdin.close()


def case_include(place):
    place.write("sinks.yaml", f"sinks: {{ out: {{ type: file, path: ./out.txt }} }}\n")
    path = place.write("weir.yaml", "store: { path: ./store }\ninclude: [ sinks.yaml ]\nsources: { in: { type: stdin } }\n"
                       "routes: [ { from: [ in ], to: out } ]\n")
    run(place, path, ["x"])
    assert open(place.path("out.txt")).read() == "x\n"


kit.run_cases(globals(), BUILD, "options")
