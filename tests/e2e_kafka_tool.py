#!/usr/bin/env python3
"""The Kafka broker of kit.py and tests/kafka_tool.c: what is put in comes out, over a kill, with its offsets and ends."""
import os
import kit


def case_records(place):
    kafka = kit.Kafka(place)
    kafka.topic("t", 2)
    kafka.produce("t", [("a", "1", {"h": "x=y", "n": None}), (None, "tab\there \\ \n"), ("b", None)], "partition=1", "time=1234")
    kafka.kill()
    kafka.start()
    first, second, third = kafka.consume("t")
    assert first == (1, 0, 1234, "a", "1", [("h", "x=y"), ("n", None)]), first
    assert second[3:5] == (None, "tab\there \\ \n"), second
    assert third[3:5] == ("b", None), third
    assert [r.offset for r in kafka.consume("t", "count=2", "group.id=g")][:2] == [0, 1]
    assert kafka.offsets("g", "t") == {0: (None, 0, 0), 1: (None, 0, 3)}
    kafka.tool("cut", "t", 1, 2)
    assert kafka.offsets("g", "t")[1] == (None, 2, 3)
    kafka.tool("grow", "t", 3)
    assert len(kafka.offsets("g", "t")) == 3
    kafka.stop()


def case_topics(place):
    kafka = kit.Kafka(place, "auto.create.topics.enable=false", "num.partitions=1")
    kafka.topic("small", 1, max_message_bytes=1000)
    try:
        kafka.produce("small", [("k", "x" * 2000)])
        raise AssertionError("the topic took a record above its limit")
    except SystemExit as refused:
        assert "Broker: Message size too large" in str(refused), refused
    kafka.tool("delete", "small")
    kit.wait_for("the topic's end", lambda: gone(kafka, "small"))
    kafka.stop()


def gone(kafka, topic):
    try:
        kafka.consume(topic)
        return False
    except SystemExit as fault:
        return "Unknown topic" in str(fault)


kit.run_cases(globals(), os.environ.get("WEIR_BUILD", "build"), "kafka-kit")
