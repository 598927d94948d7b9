#!/usr/bin/env python3
"""The source `kafka` by the real binary and a real broker: groups, kills, rebalances, positions, and what goes wrong.

Each case is a function; usage: kafka_source.py [case ...], with WEIR_BUILD=FOLDER. It takes about four minutes, with brokers of
its own, so it is a campaign and no part of `make test`."""
import collections, json, os, signal, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import kit

BUILD = os.environ.get("WEIR_BUILD", "build")
MODULES = os.path.abspath(os.path.join(BUILD, "tests/modules"))


SESSION = "session.timeout.ms: 1500, heartbeat.interval.ms: 300"
FAST = "group.min.session.timeout.ms=1000"


def config(place, kafka, source="", sink="type: file, path: ./out.txt", route="", functions="", name="weir", brokers=None, group="g"):
    functions = f"functions: {{ {functions} }}\n" if functions else ""
    source = ", ".join(part for part in (f'type: kafka, brokers: "{brokers or kafka.brokers}", group: {group}', source) if part)
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


def member(place, kafka, name, source="", **more):
    return kit.Weir(place, config(place, kafka, f"topics: t, properties: {{ {SESSION} }}, {source}", f"type: file, path: ./{name}.txt",
                                  name=name, **more), name=name)


def all_lines(place, names):
    return [int(line) for name in names for line in lines(place, f"{name}.txt")]


def group_of_three(place, assignment):
    """Members come, stop and are killed under load; nothing is lost, and stops and comings alone make no duplicates."""
    kafka = kit.Kafka(place, FAST)
    kafka.topic("t", 6)
    names = ["a", "b", "c"]
    weirs = {name: member(place, kafka, name, f"assignment: {assignment}") for name in names}
    sent = 0

    def send(count=2000):
        nonlocal sent
        kafka.produce("t", numbers(sent + 1, sent + count))
        sent += count
    weirs["a"].start()
    send()
    for name in ("b", "c"):
        weirs[name].start()
        send()
        kit.wait_for(f"lines of {name}", lambda: (send(200) or lines(place, f"{name}.txt")), 60)
    kit.wait_for("all lines", lambda: len(set(all_lines(place, names))) == sent, 60)
    assert weirs["b"].stop() == 0
    send()
    kit.wait_for("all lines", lambda: len(set(all_lines(place, names))) == sent, 60)
    twice = len(all_lines(place, names)) - sent
    assert twice == 0, f"{twice} came twice although nobody was killed"
    weirs["c"].kill()
    send()
    kit.wait_for("all lines after a kill", lambda: len(set(all_lines(place, names))) == sent, 60)
    assert weirs["a"].stop() == 0
    assert set(all_lines(place, names)) == set(range(1, sent + 1))


def case_group_cooperative(place):
    group_of_three(place, "cooperative-sticky")


def case_group_eager(place):
    group_of_three(place, "range")


def case_stopped_process_is_replaced_and_comes_back(place):
    kafka = kit.Kafka(place, FAST)
    kafka.topic("t", 4)
    a, b = member(place, kafka, "a"), member(place, kafka, "b")
    a.start()
    b.start()
    kafka.produce("t", numbers(1, 1000))
    kit.wait_for("all lines", lambda: len(set(all_lines(place, "ab"))) == 1000, 60)
    kit.wait_for("lines of both", lambda: lines(place, "a.txt") and lines(place, "b.txt") or kafka.produce("t", numbers(1, 1000)), 60)
    a.process.send_signal(signal.SIGSTOP)
    kafka.produce("t", numbers(1001, 2000))
    kit.wait_for("all lines", lambda: set(all_lines(place, "ab")) >= set(range(1, 2001)), 60)
    a.process.send_signal(signal.SIGCONT)
    kit.wait_for("both", lambda: kafka.produce("t", numbers(2001, 2100)) or set(map(int, lines(place, "a.txt"))) & set(range(2001, 2101)), 60)
    assert a.stop() == 0 and b.stop() == 0


def case_drain_is_finished_or_cut(place):
    """The owner's sink is blocked when a second member comes: with a short drain it has to let go, and the second one gets them."""
    kafka = kit.Kafka(place, FAST)
    kafka.topic("t", 2)
    os.mkdir(place.path("a.txt"))
    a = member(place, kafka, "a", "drain: 1s")
    a.start()
    kafka.produce("t", numbers(1, 100))
    told(place, "Is a directory", "a")
    b = member(place, kafka, "b")
    b.start()
    told(place, "`drain` is over", "a")
    kit.wait_for("what was in flight, at its new owner", lambda: lines(place, "b.txt"), 60)
    os.rmdir(place.path("a.txt"))
    kit.wait_for("all lines", lambda: set(all_lines(place, "ab")) == set(range(1, 101)), 60)
    assert a.stop() == 0 and b.stop() == 0


def case_static_member_keeps_its_partitions(place):
    kafka = kit.Kafka(place)
    kafka.topic("t", 2)
    path = config(place, kafka, "topics: t, instance_id: one, properties: { session.timeout.ms: 20000 }")
    weir = kit.Weir(place, path).start()
    kafka.produce("t", numbers(1, 100))
    has(place, 100)
    weir.kill()
    kafka.produce("t", numbers(101, 200))
    begin = time.monotonic()
    weir.start()
    has(place, 200)
    assert time.monotonic() - begin < 10 * kit.slow(), "it waited for its own session to end"
    two = kit.Weir(place, config(place, kafka, "topics: t, instance_id: one", name="two", sink="type: drop"), name="two")
    two.start()
    told(place, "give each its own")
    weir.process.wait(30 * kit.slow())
    assert weir.process.returncode == 1
    two.stop()


def case_kafka_to_kafka(place):
    """Keys, headers and tombstones go through, also when weir is killed now and then."""
    kafka = kit.Kafka(place, FAST)
    kafka.topic("t", 3)
    kafka.topic("u", 3)
    records = [(f"k{i % 50}", str(i), {"n": str(i)}) for i in range(1, 5001)] + [("gone", None)]
    kafka.produce("t", records)
    weir = kit.Weir(place, config(place, kafka, f"topics: t, properties: {{ {SESSION} }}", f'type: kafka, brokers: "{kafka.brokers}", topic: u'))
    for _ in range(3):
        before = sum(high for _, _, high in kafka.offsets("g", "u").values())
        weir.start()
        kit.wait_for("some records", lambda: sum(high for _, _, high in kafka.offsets("g", "u").values()) > before, 60)
        weir.kill()
    weir.start()
    kit.wait_for("the offsets", lambda: sum(committed or 0 for committed, low, high in kafka.offsets("g", "t").values()) == 5001, 60)
    assert weir.stop() == 0
    got = collections.Counter((r.key, r.value, tuple(r.headers)) for r in kafka.consume("u"))
    assert set(got) == {(key, value, tuple((more[0] if more else {}).items())) for key, value, *more in records}


# where to begin

def case_start_latest_and_new_partitions(place):
    kafka = kit.Kafka(place, FAST)
    kafka.topic("t", 2)
    kafka.produce("t", numbers(1, 100))
    path = config(place, kafka, f"topics: t, start: latest, properties: {{ {SESSION}, topic.metadata.refresh.interval.ms: 500 }}")
    weir = kit.Weir(place, path).start()
    kit.wait_for("the end, in the group", lambda: all(c == high for c, low, high in kafka.offsets("g", "t").values()))
    weir.kill()
    kafka.produce("t", numbers(101, 200))
    weir.start()
    has(place, 100)
    kafka.tool("grow", "t", 4)
    kafka.produce("t", numbers(201, 300), "partition=3")
    has(place, 200)
    weir.stop()
    assert sorted(map(int, lines(place))) == list(range(101, 301))


def case_start_at_a_time(place):
    kafka = kit.Kafka(place)
    kafka.topic("t", 1)
    for first, ms in ((1, 1000000), (11, 2000000), (21, 3000000)):
        kafka.produce("t", numbers(first, first + 9), f"time={ms}")
    run(place, config(place, kafka, "topics: t, until: end, start: '1970-01-01T02:33:20+02:00'"))
    assert sorted(map(int, lines(place))) == list(range(11, 31))


def case_operator_rewinds_the_group(place):
    kafka = kit.Kafka(place)
    kafka.topic("t", 1)
    kafka.produce("t", numbers(1, 100))
    path = config(place, kafka, "topics: t, until: end")
    run(place, path)
    kafka.tool("commit", "g", "t", 0, 90)
    run(place, path)
    assert list(map(int, lines(place))) == list(range(1, 101)) + list(range(91, 101))


def case_deleted_records_stop_the_partition_alone(place):
    kafka = kit.Kafka(place)
    kafka.topic("t", 2)
    for partition in (0, 1):
        kafka.produce("t", numbers(1 + 100 * partition, 100 + 100 * partition), f"partition={partition}")
        kafka.tool("commit", "g", "t", partition, 10)
    kafka.tool("cut", "t", 0, 50)
    path = config(place, kafka, "topics: t, until: end")
    run(place, path, code=1)
    told(place, "t/0: the next offset would be 10, but the log begins at 50")
    assert sorted(map(int, lines(place))) == list(range(111, 201)), "the other partition is read"
    run(place, config(place, kafka, "topics: t, until: end, out_of_range: earliest"))
    assert sorted(map(int, lines(place))) == list(range(51, 101)) + list(range(111, 201))
    assert kafka.offsets("g", "t")[0][0] == 100


def case_deleted_records_with_latest(place):
    kafka = kit.Kafka(place)
    kafka.topic("t", 1)
    kafka.produce("t", numbers(1, 100))
    kafka.tool("commit", "g", "t", 0, 10)
    kafka.tool("cut", "t", 0, 50)
    weir = kit.Weir(place, config(place, kafka, "topics: t, out_of_range: latest, assignment: range")).start()
    told(place, "offsets 10 to 99 were deleted")
    kafka.produce("t", numbers(101, 110))
    has(place, 10)
    weir.stop()
    assert sorted(map(int, lines(place))) == list(range(101, 111))


def case_a_topic_made_anew_is_not_skipped(place):
    kafka = kit.Kafka(place)
    kafka.topic("t", 1)
    kafka.produce("t", numbers(1, 100))
    path = config(place, kafka, "topics: t, until: end")
    run(place, path)
    kafka.tool("commit", "g", "t", 0, 1000)
    run(place, path, code=1)
    told(place, "it was made anew")
    assert len(lines(place)) == 100


def case_state_is_in_the_store(place):
    """With keyed state the store is the truth: a group that was set back is not followed, one that is ahead stops or discards."""
    kafka = kit.Kafka(place)
    kafka.topic("t", 1)
    kafka.produce("t", [("k", str(i)) for i in range(1, 11)])
    counted = "c: { type: count, every: 1 }"

    def path(moved=""):
        return config(place, kafka, "topics: t, until: end", route=f"call: c, {moved}", functions=counted)

    def counts():
        return [json.loads(line)["count"] for line in lines(place)]
    run(place, path())
    assert counts() == list(range(1, 11))
    kafka.tool("commit", "g", "t", 0, 3)
    kafka.produce("t", [("k", "11")])
    run(place, path())
    assert counts() == list(range(1, 12)), "a group that was set back is not followed"
    kafka.produce("t", [("k", str(i)) for i in range(12, 22)])
    kafka.tool("commit", "g", "t", 0, 20)
    run(place, path(), code=1)
    told(place, "worked on elsewhere")
    assert counts() == list(range(1, 12))
    run(place, path("moved_state: discard,"))
    assert counts() == list(range(1, 12)) + [1], "the state begins anew where the group is"
    run(place, path())
    assert len(counts()) == 12


def case_patterns_and_new_topics(place):
    kafka = kit.Kafka(place)
    kafka.topic("a-one", 1)
    kafka.topic("b-one", 1)
    kafka.produce("a-one", numbers(1, 10))
    kafka.produce("b-one", numbers(100, 110))
    weir = kit.Weir(place, config(place, kafka, "topics: '^a-.*', properties: { topic.metadata.refresh.interval.ms: 500 }")).start()
    has(place, 10)
    kafka.topic("a-two", 2)
    kafka.produce("a-two", numbers(11, 20))
    has(place, 20)
    weir.stop()
    assert sorted(map(int, lines(place))) == list(range(1, 21))


def case_read_committed(place):
    kafka = kit.Kafka(place)
    kafka.topic("t", 1)
    kafka.produce("t", numbers(1, 10), "transactional.id=x", "transaction=commit")
    kafka.produce("t", numbers(11, 20), "transactional.id=x", "transaction=abort")
    kafka.produce("t", numbers(21, 30), "transactional.id=x", "transaction=commit")
    run(place, config(place, kafka, "topics: t, until: end"))
    assert sorted(map(int, lines(place))) == list(range(1, 11)) + list(range(21, 31))
    os.unlink(place.path("out.txt"))
    source = "topics: t, until: end, isolation: read_uncommitted"
    kafka.tool("commit", "g", "t", 0, 0)
    run(place, config(place, kafka, source))
    assert sorted(map(int, lines(place))) == list(range(1, 31))


def case_routes_of_one_source(place):
    """One consumer, two routes: one of them keeps state. Each has all records once; the group's offset is the lowest of both."""
    kafka = kit.Kafka(place, FAST)
    kafka.topic("t", 2)
    text = f"""
store: {{ path: ./store }}
limits: {{ stop: 20s }}
sources: {{ in: {{ type: kafka, brokers: "{kafka.brokers}", topics: t, group: g, properties: {{ {SESSION} }} }} }}
functions: {{ c: {{ type: count, every: 1 }} }}
sinks: {{ plain: {{ type: file, path: ./plain.txt }}, counted: {{ type: file, path: ./counted.txt }} }}
routes: [ {{ from: in, to: plain }}, {{ from: in, call: c, to: counted }} ]
"""
    os.mkdir(place.path("counted.txt"))
    weir = kit.Weir(place, place.write("weir.yaml", text)).start()
    kafka.produce("t", [("k", str(i)) for i in range(1, 501)])
    has(place, 500, "plain.txt")
    told(place, "Is a directory")
    assert sum(committed or 0 for committed, low, high in kafka.offsets("g", "t").values()) == 0, "the slower route decides"
    weir.kill()
    os.rmdir(place.path("counted.txt"))
    weir.start()
    kit.wait_for("all counts", lambda: len(lines(place, "counted.txt")) >= 500, 60)
    kit.wait_for("the offsets", lambda: sum(committed or 0 for committed, low, high in kafka.offsets("g", "t").values()) == 500)
    weir.kill()
    weir.start()
    kafka.produce("t", [("k", str(i)) for i in range(501, 601)])
    kit.wait_for("all counts", lambda: len(lines(place, "counted.txt")) >= 600, 60)
    has(place, 600, "plain.txt")
    assert weir.stop() == 0
    assert [json.loads(line)["count"] for line in lines(place, "counted.txt")] == list(range(1, 601)), "state counts each record once"


# bad peers

def case_a_damaged_batch_stops_its_partition_alone(place):
    kafka = kit.Kafka(place)
    kafka.topic("t", 2)
    for partition in (0, 1):
        kafka.produce("t", numbers(1 + 100 * partition, 50 + 100 * partition), f"partition={partition}")
        kafka.produce("t", numbers(51 + 100 * partition, 100 + 100 * partition), f"partition={partition}")
    kafka.stop()
    with open(kafka.path("data", "t-0", "00000000000000000000.log"), "r+b") as log:
        log.seek(-5, 2)
        byte = log.read(1)
        log.seek(-5, 2)
        log.write(bytes([byte[0] ^ 1]))
    kafka.start()
    run(place, config(place, kafka, "topics: t, until: end"), code=1)
    told(place, "t/0: it cannot be read at offset")
    got = sorted(map(int, lines(place)))
    assert got == list(range(1, 51)) + list(range(101, 201)), got
    assert kafka.offsets("g", "t")[0][0] == 50, "what was completed before it is committed"


def case_broker_down_at_start_and_killed(place):
    kafka = kit.Kafka(place, FAST)
    kafka.topic("t", 2)
    kafka.produce("t", numbers(1, 100))
    kafka.kill()
    weir = kit.Weir(place, config(place, kafka, f"topics: t, properties: {{ {SESSION} }}")).start()
    told(place, "is the broker up, and is its address right?")
    kafka.start()
    has(place, 100)
    kafka.kill()
    told(place, "Disconnected")
    kafka.start()
    kafka.produce("t", numbers(101, 200))
    has(place, 200)
    assert weir.stop() == 0
    assert kafka.offsets("g", "t") and sum(c for c, low, high in kafka.offsets("g", "t").values()) == 200


def case_topic_that_is_missing_comes_later(place):
    kafka = kit.Kafka(place, "auto.create.topics.enable=false")
    weir = kit.Weir(place, config(place, kafka, "topics: t, properties: { topic.metadata.refresh.interval.ms: 500 }")).start()
    told(place, "create the topic, or mend its name")
    kafka.topic("t", 1)
    kafka.produce("t", numbers(1, 10))
    has(place, 10)
    kafka.tool("delete", "t")
    told(place, "the group takes")
    kafka.topic("t", 1)
    kafka.produce("t", numbers(11, 20))
    assert weir.stop() == 0


def case_a_blocked_sink_keeps_the_membership(place):
    """Out of credit for longer than max.poll.interval.ms, with more waiting than memory may hold."""
    kafka = kit.Kafka(place, FAST)
    kafka.topic("t", 1)
    kafka.produce("t", [("k", f"{i} " + "x" * 10000) for i in range(1, 10001)])
    os.mkdir(place.path("out.txt"))
    source = f"topics: t, properties: {{ {SESSION}, max.poll.interval.ms: 2000 }}, drain: 1s"
    path = config(place, kafka, source, route="in_flight: { events: 500 },")
    text = open(path).read().replace("limits: {", "limits: { memory: 64MiB,")
    open(path, "w").write(text)
    weir = kit.Weir(place, path).start()
    told(place, "Is a directory")
    begin, most = time.monotonic(), 0
    while time.monotonic() - begin < 5 * kit.slow():
        with open(f"/proc/{weir.process.pid}/status") as f:
            most = max(most, *(int(line.split()[1]) for line in f if line.startswith("VmRSS")))
        time.sleep(0.05)
    os.rmdir(place.path("out.txt"))
    kit.wait_for("all lines", lambda: len(lines(place)) >= 10000, 60)
    assert weir.stop() == 0
    assert "max.poll" not in place.log("weir") and "takes" not in place.log("weir"), place.log("weir")[-2000:]
    assert len(lines(place)) == 10000
    assert most < 90 * 1024 or os.environ.get("ASAN_OPTIONS") or os.environ.get("TSAN_OPTIONS"), f"{most} KiB"


# security

def case_tls_and_login(place):
    kafka = kit.Kafka(place, "secure")
    kafka.topic("t", 1)
    kafka.produce("t", numbers(1, 10))
    ca = kafka.path("tls", "ca.crt")
    mine = f"cert: {kafka.path('tls', 'client.crt')}, key: {kafka.path('tls', 'client.key')}"
    token = "eyJhbGciOiJub25lIn0." + token_claims()
    ways = {"tls": f"tls: {{ ca: {ca} }}", "mtls": f"tls: {{ ca: {ca}, {mine} }}", "stranger": f"tls: {{ ca: {ca}, verify: false }}",
            "sasl_tls": f"tls: {{ ca: {ca} }}, sasl: {{ username: alice, password: alice-secret }}",
            "sasl": "sasl: { mechanism: SCRAM-SHA-512, username: bob, password: bob-secret }",
            "sasl ": "sasl: { mechanism: SCRAM-SHA-256, username: bob, password: bob-secret }",
            "sasl  ": f"sasl: {{ mechanism: OAUTHBEARER, token: '{token}' }}"}
    for number, (listener, how) in enumerate(ways.items()):
        name = f"way{number}"
        run(place, config(place, kafka, f"topics: t, until: end, {how}", f"type: file, path: ./{name}.txt",
                          brokers=kafka.listener(listener.strip()), name=name, group=name), name=name)
        assert len(lines(place, f"{name}.txt")) == 10, (listener, place.log(name))
    wrong = {"tls": (f"tls: {{ ca: {kafka.path('tls', 'other-ca.crt')} }}", "set tls.ca"),
             "stranger": (f"tls: {{ ca: {ca} }}", "server_name"),
             "stranger ": (f"tls: {{ ca: {ca}, server_name: nobody.example }}", "server_name"),
             "mtls": (f"tls: {{ ca: {ca} }}", "tls.cert"),
             "sasl_tls": (f"tls: {{ ca: {ca} }}, sasl: {{ username: alice, password: wrong }}", "look at sasl"),
             "sasl": ("sasl: { mechanism: SCRAM-SHA-512, username: bob, password: wrong }", "look at sasl"),
             "tls ": ("", "may want tls")}
    for number, (listener, (how, words)) in enumerate(wrong.items()):
        name = f"wrong{number}"
        weir = kit.Weir(place, config(place, kafka, f"topics: t, {how}", brokers=kafka.listener(listener.strip()), name=name), name=name).start()
        told(place, words, name)
        assert weir.stop() == 0


def token_claims():
    import base64
    claims = {"sub": "alice", "iat": int(time.time()) - 10, "exp": int(time.time()) + 3600}
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=") + "."


# What a slow build (sanitizers, coverage) runs: every way in and out of a group once; the rest is the broker's part.
SLICE = ("until_end_and_again", "kill_loses_nothing", "group_cooperative", "drain_is_finished_or_cut", "state_is_in_the_store",
         "a_damaged_batch_stops_its_partition_alone", "tls_and_login")


def left_out(place):
    kit.skip("release", "a slice of the cases runs where programs are slow")


if kit.slow() > 1 and not sys.argv[1:]:
    for case in [name for name in globals() if name.startswith("case_") and name[5:] not in SLICE]:
        globals()[case] = left_out
kit.run_cases(dict(globals()), BUILD, "kafka")
