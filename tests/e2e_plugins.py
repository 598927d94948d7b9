#!/usr/bin/env python3
"""The small plug-ins and the templates, by the real binary: each option shows in what comes out, and what goes wrong at
the system is told, tried again, and loses nothing.

Each case is a function; usage: e2e_plugins.py [case ...]"""
import json, os, pty, subprocess, sys, time
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kit
from plugins_kit import config, lines, refused, run

BUILD = os.environ.get("WEIR_BUILD", "build")
MODULES = os.path.abspath(os.path.join(BUILD, "tests/modules"))


# mqtt

def case_mqtt_message_at_which_the_broker_closes_is_a_dead_letter(place):
    """MQTT 3.1.1 has no word for "too large": the broker just closes. Its neighbours pass, in order."""
    broker = kit.Broker(place, more="max_packet_size 400\n")
    got = place.start("sub", ["mosquitto_sub", "-h", "127.0.0.1", "-p", broker.port, "-q", 1, "-t", "out"], stdout=open(place.path("got"), "wb"))
    kit.wait_for("the subscriber", lambda: "New client connected" in place.log("mosquitto"))
    sink = f'type: mqtt, url: "mqtt://127.0.0.1:{broker.port}", version: "3.1.1", topic: out, retry: {{ backoff: 10ms..50ms }}'
    path = config(place, sink=sink, route="order: shard,", more="limits: { stop: 60s }\n")
    text = open(path).read().replace("limits: { stop: 5s }\n", "", 1)
    run(place, place.write("weir.yaml", text), "".join(f"{i}\n" for i in range(20)) + "x" * 500 + "\n" + "".join(f"{i}\n" for i in range(20, 40)))
    kit.wait_for("the last message", lambda: "39" in open(place.path("got")).read().split())
    seen = [int(line) for line in open(place.path("got")).read().split()]
    assert sorted(set(seen)) == list(range(40)) and [n for i, n in enumerate(seen) if n not in seen[:i]] == list(range(40)), seen
    letters = json.loads(kit.Weir(place, path).command("dead", "list", path, "-o", "json"))["dead"]
    assert len(letters) == 1 and "closes the connection" in letters[0]["cause"], letters
    got.terminate()


# generate

def generated(place, options):
    run(place, config(place, f"type: generate, {options}", "type: file, path: ./out.txt"))
    got = lines(place)
    for path in ("out.txt", "store/data.mdb", "store/lock.mdb"):
        os.unlink(place.path(path))
    return got


def case_generate_count_and_payload(place):
    assert generated(place, "count: 5, payload: 'n={{seq}}'") == [f"n={i}" for i in range(1, 6)]
    documents = [json.loads(line) for line in generated(place, "count: 100")]
    assert [d["seq"] for d in documents] == list(range(1, 101))
    assert all(0 <= d["random"] <= 999999 for d in documents) and len({d["random"] for d in documents}) > 90


def case_generate_seed(place):
    one, again, other = (generated(place, f"count: 50, seed: {n}") for n in (1, 1, 2))
    assert one == again and one != other


def case_generate_keys(place):
    def keys(options):
        out = run(place, config(place, f"type: generate, count: 500, payload: x, {options}", "type: console"))
        os.unlink(place.path("store/data.mdb"))
        return {line.rpartition(" ")[0] for line in out.splitlines()}
    assert keys("keys: 7") == {f"k{i}" for i in range(7)}
    assert keys("keys: 0") == {""}


def case_generate_shards(place):
    path = config(place, "type: generate, count: 90, shards: 3, payload: '{{seq}}'")
    run(place, path)
    assert sorted(map(int, lines(place))) == sorted(list(range(1, 31)) * 3)


def case_generate_rate(place):
    begin = time.monotonic()
    assert len(generated(place, "count: 30, rate: 60/s")) == 30
    assert time.monotonic() - begin >= 0.4


def case_generate_goes_on_where_it_was(place):
    path = config(place, "type: generate, count: 100000, rate: 5000/s, payload: '{{seq}}'")
    weir = kit.Weir(place, path)
    weir.start()
    kit.wait_for("some lines", lambda: os.path.exists(place.path("out.txt")) and len(lines(place)) > 500)
    weir.process.terminate()
    assert weir.process.wait(20) == 0
    before = len(lines(place))
    weir.start()
    kit.wait_for("more lines", lambda: len(lines(place)) > before + 500)
    weir.process.terminate()
    assert weir.process.wait(20) == 0
    got = [int(line) for line in lines(place)]
    assert got == list(range(1, len(got) + 1)), "a number is missing or came twice"


# stdin

def case_stdin_lines(place):
    run(place, config(place), "a\n\n  b \nlast without newline")
    assert lines(place) == ["a", "", "  b ", "last without newline"]


def case_stdin_lines_that_are_too_long_are_refused(place):
    path = config(place, more="")
    text = open(path).read().replace("stop: 5s", "stop: 5s, event_bytes: 64KiB")
    open(path, "w").write(text)
    run(place, path, "a\n" + "x" * 70000 + "\nb\n")
    assert lines(place) == ["a", "b"]
    assert "refused" in place.log("weir")


# console

def case_console_stream(place):
    assert run(place, config(place, sink="type: console"), "a\nb\n") == "a\nb\n"
    done = subprocess.run([place.weir_path, "run", config(place, sink="type: console, stream: stderr")], input="on stderr\n",
                          capture_output=True, text=True, timeout=60)
    assert done.stdout == "" and "on stderr\n" in done.stderr


def case_console_format(place):
    path = config(place, "type: stdin, key: payload.k", "type: console")
    assert run(place, path, '{"k":"one"}\n') == 'one {"k":"one"}\n'
    hostile = '{"k":"a\\u001b[2J"}\x1b[31m\x00\n'
    assert run(place, path, hostile) == 'a\\x1b[2J {"k":"a\\u001b[2J"}\\x1b[31m\\x00\n'
    path = config(place, "type: stdin, key: payload.k", "type: console, format: payload")
    assert run(place, path, '{"k":"one"}\x1b[0m\n') == '{"k":"one"}\x1b[0m\n'


def case_console_colour(place):
    source = "type: stdin, key: payload.k"
    plain, coloured = 'one {"k":"one"}\n', '\x1b[33mone\x1b[0m {"k":"one"}\n'
    assert run(place, config(place, source, "type: console"), '{"k":"one"}\n') == plain
    assert run(place, config(place, source, "type: console, colour: always"), '{"k":"one"}\n') == coloured
    for colour, expected in (("auto", coloured), ("never", plain)):
        try:
            master, slave = pty.openpty()
        except OSError as fault:
            kit.skip("pty", f"no terminal can be made: {fault}")
        path = config(place, source, f"type: console, colour: {colour}")
        subprocess.run([place.weir_path, "run", path], input=b'{"k":"one"}\n', stdout=slave, stderr=subprocess.DEVNULL, timeout=60)
        assert os.read(master, 1000).decode().replace("\r\n", "\n") == expected
        os.close(master), os.close(slave)


def case_console_waits_for_a_slow_reader(place):
    path = config(place, "type: generate, count: 50000, payload: '{{seq}} " + "x" * 100 + "'", "type: console, format: payload")
    process = place.start("weir", [place.weir_path, "run", path], stdout=subprocess.PIPE)
    weir = kit.Weir(place, path)
    kit.wait_for("a full pipe", lambda: (weir.status() or {"sinks": [{}]})["sinks"][0].get("open_writes"))
    got = process.stdout.read().decode().splitlines()
    assert process.wait(20) == 0
    assert [int(line.split()[0]) for line in got] == list(range(1, 50001))


def case_console_without_a_reader_ends(place):
    read, write = os.pipe()
    os.close(read)
    path = config(place, sink="type: console")
    process = subprocess.run([place.weir_path, "run", path], input=b"a\n", stdout=write, stderr=subprocess.PIPE, timeout=60)
    os.close(write)
    assert process.returncode == 1 and b"Broken pipe" in process.stderr, process.stderr
    assert run(place, path) == "a\n", "the event must come again"


def case_console_two_sinks_do_not_tear_lines(place):
    text = f"""
store: {{ path: ./store }}
sources: {{ in: {{ type: generate, count: 20000, payload: '{{{{seq}}}}{"y" * 90}' }} }}
sinks: {{ a: {{ type: console, format: payload }}, b: {{ type: console, format: payload }} }}
routes: [ {{ name: r, from: [ in ], to: [ a, b ] }} ]
"""
    got = run(place, place.write("weir.yaml", text)).splitlines()
    assert sorted(int(line.rstrip("y")) for line in got) == sorted(list(range(1, 20001)) * 2)
    assert all(line.endswith("y" * 90) and len(line) <= 96 for line in got)


# drop, pass, filter, count

def case_drop_confirms(place):
    path = config(place, sink="type: drop")
    run(place, path, "a\nb\n")
    run(place, path)
    assert not os.path.exists(place.path("out.txt"))


def case_filter_options(place):
    events = "".join(json.dumps({"v": v}) + "\n" for v in (1, 5, 9, "x")) + "{}\n"
    for options, expected in (("equals: '5.0'", [5]), ("not_equals: '5'", [1, 9, "x"]), ("above: '4'", [5, 9]), ("below: '6'", [1, 5]),
                              ("above: '1', below: '9'", [5]), ("exists: true", [1, 5, 9, "x"]), ("exists: false", [None])):
        run(place, config(place, functions=f"type: filter, field: payload.v, {options}"), events)
        got = [json.loads(line).get("v") for line in lines(place)] if os.path.exists(place.path("out.txt")) else []
        assert got == expected, (options, got)
        os.unlink(place.path("out.txt"))


def case_count_every(place):
    path = config(place, "type: stdin, key: payload.k", functions="type: count, every: 3")
    run(place, path, '{"k":"a"}\n' * 7 + '{"k":"b"}\n' * 3)
    assert sorted(json.loads(line)["count"] for line in lines(place)) == [3, 3, 6]


# templates

def case_template_source(place):
    source = f"module: {MODULES}/template_source.so, every: 1ms, count: 20"
    path = config(place, source)
    run(place, path)
    assert [int(line) for line in lines(place)] == list(range(1, 21))
    run(place, path)
    assert len(lines(place)) == 20, "a restart goes on where it was"


def case_template_sink(place):
    run(place, config(place, sink=f"module: {MODULES}/template_sink.so, path: ./by-template.txt"), "a\nb\nc\n")
    assert lines(place, "by-template.txt") == ["a", "b", "c"]
    refused(place, config(place, sink=f"module: {MODULES}/template_sink.so"), "path")


def case_template_function(place):
    path = config(place, "type: stdin, key: payload.k", functions=f"module: {MODULES}/template_function.so, options: {{ repeat: 2 }}")
    run(place, path, '{"k":1}\n' * 3 + '{"k":1,"n":2}\n')
    assert lines(place) == ['{"k":1}', '{"k":1}', '{"k":1,"n":2}']


kit.run_cases(globals(), BUILD, "plugins")
