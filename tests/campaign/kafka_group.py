#!/usr/bin/env python3
"""A group of three under load: members are killed, stopped, frozen and started, and the topic grows, at random.

Kafka -> Kafka, so that the order in which records were delivered first is one log. At the end: nothing is lost, first
deliveries of a key keep its order, and what came twice is told beside the windows that were cut.

usage: kafka_group.py [SECONDS [SEED]]"""
import collections, os, random, signal, subprocess, sys, threading, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import kit

SECONDS, SEED = int((sys.argv[1:] or ["300"])[0]), int((sys.argv[2:] or [str(int(time.time()))])[0])
WINDOW, KEYS = 2000, 200


def config(place, kafka, name):
    return place.write(f"{name}.yaml", f"""
store: {{ path: ./store-{name} }}
limits: {{ stop: 20s }}
sources: {{ in: {{ type: kafka, brokers: "{kafka.brokers}", topics: t, group: g, drain: 3s,
  properties: {{ session.timeout.ms: 2000, heartbeat.interval.ms: 300, topic.metadata.refresh.interval.ms: 1000 }} }} }}
sinks: {{ out: {{ type: kafka, brokers: "{kafka.brokers}", topic: u }} }}
routes: [ {{ name: r, from: [ in ], to: out, in_flight: {{ events: {WINDOW} }} }} ]
""")


class Load(threading.Thread):
    """Records KEY, SEQ; a key always goes to one partition of the first six, however the topic grows."""

    def __init__(self, kafka):
        super().__init__(daemon=True)
        self.kafka, self.sent, self.ended, self.partitions = kafka, [0] * KEYS, False, 6

    def run(self):
        turn = 0
        while not self.ended:
            partition = turn % self.partitions
            keys = [k for k in range(KEYS) if k % 6 == partition] if partition < 6 else []
            records = []
            for _ in range(5):
                for key in keys:
                    self.sent[key] += 1
                    records.append((f"k{key}", self.sent[key]))
            for i in range(50 if partition >= 6 else 0):
                self.new = getattr(self, "new", 0) + 1
                records.append((None, f"new {self.new}"))
            self.kafka.produce("t", records, f"partition={partition}")
            turn += 1


def judge(kafka, load):
    want = {(f"k{key}", str(seq)) for key in range(KEYS) for seq in range(1, load.sent[key] + 1)}
    want |= {(None, f"new {i}") for i in range(1, getattr(load, "new", 0) + 1)}
    seen, last, disorder = collections.Counter(), collections.Counter(), 0
    for record in kafka.consume("u"):
        seen[(record.key, record.value)] += 1
        if seen[(record.key, record.value)] > 1 or record.key is None:
            continue
        disorder += int(record.value) != last[record.key] + 1
        last[record.key] = int(record.value)
    lost, strange = want - set(seen), set(seen) - want
    return len(want), len(lost), len(strange), disorder, sum(seen.values()) - len(seen)


def main():
    print(f"seed {SEED}", flush=True)
    random.seed(SEED)
    with kit.Place(os.environ.get("WEIR_BUILD", "build"), "kafka-group") as place:
        kafka = kit.Kafka(place, "group.min.session.timeout.ms=1000")
        kafka.topic("t", 6)
        kafka.topic("u", 3)
        members = [kit.Weir(place, config(place, kafka, name), name=name) for name in "abc"]
        for member in members:
            member.start()
        load, cuts, acts = Load(kafka), 0, collections.Counter()
        load.start()
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            time.sleep(random.uniform(0.5, 3))
            member = random.choice(members)
            act = random.choice(["kill", "kill", "stop", "freeze", "grow"])
            acts[act] += 1
            if act == "kill":
                member.kill()
                member.start()
                cuts += 1
            elif act == "stop":
                assert member.stop() == 0
                time.sleep(random.uniform(0, 2))
                member.start()
            elif act == "freeze":
                member.process.send_signal(signal.SIGSTOP)
                time.sleep(random.uniform(0.5, 5))
                member.process.send_signal(signal.SIGCONT)
                cuts += 1
            elif load.partitions < 10:
                kafka.tool("grow", "t", load.partitions + 1)
                load.partitions += 1
        load.ended = True
        load.join()
        total = sum(load.sent) + getattr(load, "new", 0)
        kit.wait_for("the end of the group", lambda: sum((c or 0) for c, low, high in kafka.offsets("g", "t").values()) == total, 120)
        codes = [member.stop() for member in members]
        count, lost, strange, disorder, twice = judge(kafka, load)
        print(f"{count} records, {dict(acts)}: {lost} lost, {strange} strange, {disorder} out of order, {twice} twice "
              f"(at most {cuts * WINDOW} for {cuts} cuts), exits {codes}", flush=True)
        assert not lost and not strange and not disorder and twice <= cuts * WINDOW and codes == [0, 0, 0]


try:
    main()
except kit.Skip as skip:
    print(skip)
