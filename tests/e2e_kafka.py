#!/usr/bin/env python3
"""The source `kafka` by the real binary and a real broker: groups, kills, rebalances, positions, and what goes wrong.

Each case is a function; usage: e2e_kafka.py [case ...]"""
import collections, json, os, signal, sys, time
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kit

BUILD = os.environ.get("WEIR_BUILD", "build")
MODULES = os.path.abspath(os.path.join(BUILD, "tests/modules"))


SESSION = "session.timeout.ms: 1500, heartbeat.interval.ms: 300"
FAST = "group.min.session.timeout.ms=1000"


def config(place, kafka, source="", sink="type: file, path: ./out.txt", route="", functions="", name="weir", brokers=None):
    functions = f"functions: {{ {functions} }}\n" if functions else ""
    source = ", ".join(part for part in (f'type: kafka, brokers: "{brokers or kafka.brokers}", group: g', source) if part)
    return place.write(f"{name}.yaml", f"store: {{ path: ./store-{name} }}\nlog: {{ level: debug }}\nlimits: {{ stop: 20s }}\nsources: {{ in: {{ {source} }} }}\n"
                       f"{functions}sinks: {{ out: {{ {sink} }} }}\nroutes: [ {{ name: r, from: [ in ], {route} to: out }} ]\n")


def run(place, path, code=0, name="weir"):
    process = place.start(name, [place.weir_path, "run", path])
    ended = process.wait(60 * kit.slow())
    assert ended == code, f"exit {ended}, expected {code}\n{place.log(name)[-3000:]}"


def lines(place, name="out.txt"):
    try:
        with open(place.path(name)) as f:
            return f.read().splitlines()
    except FileNotFoundError:
        return []


def numbers(first, last, key=None):
    return [(key or f"k{i % 10}", str(i)) for i in range(first, last + 1)]


def has(place, count, name="out.txt"):
    return kit.wait_for(f"{count} lines", lambda: len(set(lines(place, name))) >= count, 60)


def told(place, text, name="weir", seconds=30):
    kit.wait_for(f"{text!r} in the log", lambda: text in place.log(name), seconds)


# reading

def case_until_end_and_again(place):
    kafka = kit.Kafka(place)
    kafka.topic("t", 3)
    kafka.produce("t", numbers(1, 1000))
    path = config(place, kafka, "topics: t, until: end")
    run(place, path)
    assert sorted(map(int, lines(place))) == list(range(1, 1001))
    offsets = kafka.offsets("g", "t")
    assert all((committed or 0) == high for committed, low, high in offsets.values()), offsets
    run(place, path)
    assert len(lines(place)) == 1000, "what is committed does not come again"
    kafka.produce("t", numbers(1001, 1010))
    run(place, path)
    assert sorted(map(int, lines(place))) == list(range(1, 1011))


def case_ids_and_positions_are_the_logs_own(place):
    kafka = kit.Kafka(place)
    kafka.topic("t", 1)
    kafka.produce("t", numbers(1, 3))
    run(place, config(place, kafka, "topics: t, until: end", "type: file, path: './by/{{position}}.{{headers.none}}'"))
    dead = kit.Weir(place, place.path("weir.yaml")).dead()
    assert sorted(letter["id"] for letter in dead) == ["t/0/0", "t/0/1", "t/0/2"], dead
    kafka.produce("t", numbers(4, 5))
    run(place, config(place, kafka, "topics: t, until: end", "type: file, path: './by/{{position}}'"))
    assert [lines(place, f"by/{i}") for i in (3, 4)] == [["4"], ["5"]]


def case_kill_loses_nothing(place):
    kafka = kit.Kafka(place, FAST)
    kafka.topic("t", 4)
    weir = kit.Weir(place, config(place, kafka, f"topics: t, properties: {{ {SESSION} }}"))
    for round in range(5):
        kafka.produce("t", numbers(round * 2000 + 1, round * 2000 + 2000))
        weir.start()
        kit.wait_for("some lines", lambda: len(lines(place)) > round * 2000 + 500)
        weir.kill()
    weir.start()
    has(place, 10000)
    assert weir.stop() == 0
    assert set(map(int, lines(place))) == set(range(1, 10001))


kit.run_cases(globals(), BUILD, "kafka")
