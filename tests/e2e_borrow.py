#!/usr/bin/env python3
"""Borrowed memory goes back although a little of it is stuck: behind a sink that fails, behind one that does not answer, behind a
function that fails; the charge falls, and what comes out in the end is what was lent.

Usage: e2e_borrow.py [case ...]"""
import os, sys
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


kit.run_cases(globals(), BUILD, "borrow")
