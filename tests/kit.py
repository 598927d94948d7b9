"""What the end-to-end tests, campaigns, benchmarks and demos share: private brokers, weir processes, and the account."""
import collections, contextlib, json, os, re, shutil, signal, socket, subprocess, sys, tempfile, time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def slow():
    return float(os.environ.get("WEIR_TEST_SLOW", "1"))


def wait_for(what, condition, seconds=30):
    """Waits until condition() is true and returns it."""
    end = time.monotonic() + seconds * slow()
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise SystemExit(f"{what} did not happen within {seconds * slow():.0f} s")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def listening(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


class Place:
    """A temporary folder and the processes started in it. Ends them by pid, removes the folder if all went well."""

    def __init__(self, build, name):
        self.build = os.path.abspath(build)
        self.weir_path = os.path.join(self.build, "weir")
        self.folder = tempfile.mkdtemp(prefix=f"weir-{name}-")
        self.processes = []
        self.keep = bool(os.environ.get("KEEP"))

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        failed = kind not in (None, Skip) and not (kind is SystemExit and value.code in (0, None))
        if failed or self.keep:
            print(f"everything is kept in {self.folder}", file=sys.stderr)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def start(self, name, argv, stdout=None, env=None):
        log = open(self.path(name + ".log"), "ab")
        process = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stderr=log, stdout=stdout or log,
                                   env=env)
        log.close()
        self.processes.append(process)
        return process

    def log(self, name):
        with open(self.path(name + ".log"), errors="replace") as f:
            return f.read()

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)
        return self.path(name)


class Broker:
    """A private mosquitto on a free loopback port, with persistence."""

    def __init__(self, place, killable=False, saving=True, more=""):
        """killable: it saves after every change, which is slow, so that it may be killed. saving false: it keeps sessions in
        memory only, and stops for nothing."""
        more += "autosave_on_changes true\nlog_type all\n" if killable else ""
        self.place, self.port = place, free_port()
        user = "user root\n" if os.geteuid() == 0 else ""
        self.config = place.write("mosquitto.conf", f"{user}persistence {'true' if saving else 'false'}\npersistence_location {place.folder}/\n"
                                  "autosave_interval 1\nmax_queued_messages 0\nset_tcp_nodelay true\n"
                                  f"max_inflight_messages 0\n{more}listener {self.port} 127.0.0.1\nallow_anonymous true\n")
        self.start()

    def start(self):
        binary = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self.process = self.place.start("mosquitto", [binary, "-c", self.config])
        wait_for("mosquitto", lambda: listening(self.port))

    def kill(self):
        self.process.kill()
        self.process.wait()


class Kafka:
    """A private Kafka broker, by scripts/kafka. `options`: words that it takes after the folder. Skips when it is not to be had."""

    def __init__(self, place, *options, name="kafka"):
        self.place, self.options, self.name, self.folder = place, options, name, place.path(name)
        script = os.path.join(ROOT, "scripts/kafka")
        jars = subprocess.run([script, "jars"], capture_output=True, text=True)
        if jars.returncode:
            if jars.returncode != 77:
                raise SystemExit(jars.stderr)
            skip("kafka", jars.stdout.strip().partition(": ")[2])
        self.script = script
        self.start()

    def starts(self):
        try:
            with open(os.path.join(self.folder, "broker.log"), errors="replace") as f:
                return f.read().count("Kafka Server started")
        except FileNotFoundError:
            return 0

    def launch(self):
        self.before = self.starts()
        self.process = self.place.start(self.name + "-start", [self.script, "run", self.folder, *self.options])

    def start(self):
        self.launch()
        wait_for("kafka", lambda: self.starts() > self.before or self.process.poll() is not None, 60)
        if self.process.poll() is not None:
            raise SystemExit(f"kafka did not start, see {self.folder}")
        with open(os.path.join(self.folder, "ports")) as f:
            self.ports = {name: int(port) for name, port in (line.split() for line in f)}
        self.brokers = self.listener("plain")

    def listener(self, name):
        return f"127.0.0.1:{self.ports[name]}"

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def tool(self, command, *words, lines=None, seconds=120):
        """tests/kafka_tool; `lines`: its stdin. Returns its stdout."""
        run = subprocess.run([os.path.join(self.place.build, "tests/kafka_tool"), self.brokers, command, *map(str, words)],
                             input=lines if lines is not None else "", capture_output=True, text=True, timeout=seconds * slow())
        if run.returncode != 0:
            raise SystemExit(f"kafka_tool {command}: {run.stderr.strip()}")
        return run.stdout

    def topic(self, name, partitions=1, **config):
        """config: names of the topic's configuration, with _ for the dots."""
        self.tool("create", name, partitions, *(f"{key.replace('_', '.')}={value}" for key, value in config.items()))

    def produce(self, topic, records, *settings):
        """records: (key, value) or (key, value, {header: value}); None is absent."""
        def line(key, value, headers=None):
            return "\t".join([kafka_field(key), kafka_field(value)] + [f"{kafka_field(n)}={kafka_field(v)}" for n, v in (headers or {}).items()])
        self.tool("produce", topic, *settings, lines="".join(line(*record) + "\n" for record in records))

    def consume(self, topic, *settings):
        """All that is there now, as KafkaRecord, each partition in order."""
        return [kafka_record(line) for line in self.tool("consume", topic, *settings).splitlines()]

    def offsets(self, group, topic):
        """{partition: (committed or None, low, high)}"""
        rows = [[int(n) for n in line.split("\t")] for line in self.tool("offsets", group, topic).splitlines()]
        return {partition: (committed if committed >= 0 else None, low, high) for partition, committed, low, high in rows}


KafkaRecord = collections.namedtuple("KafkaRecord", "partition offset time_ms key value headers")


def kafka_field(text):
    if text is None:
        return "\\N"
    return str(text).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def kafka_text(field):
    if field == "\\N":
        return None
    if "\\" not in field:
        return field
    one = {"t": "\t", "n": "\n", "r": "\r"}
    return re.sub(r"\\(x..|.)", lambda m: chr(int(m[1][1:], 16)) if m[1][0] == "x" and len(m[1]) == 3 else one.get(m[1], m[1]), field)


def kafka_record(line):
    """A line of `kafka_tool consume`. A byte that is not ASCII is a character of its own."""
    partition, offset, time_ms, key, value, *headers = line.split("\t")
    return KafkaRecord(int(partition), int(offset), int(time_ms), kafka_text(key), kafka_text(value),
                       [tuple(kafka_text(part) for part in header.split("=", 1)) for header in headers])


class Weir:
    """One configuration file and the process that runs it."""

    def __init__(self, place, config, env=None, name="weir"):
        self.place, self.config, self.name = place, config, name
        self.env = dict(os.environ, **(env or {}))
        self.process = None

    def command(self, *argv, check=True):
        run = subprocess.run([self.place.weir_path, *argv], env=self.env, capture_output=True, text=True,
                             timeout=60 * slow())
        if check and run.returncode != 0:
            raise SystemExit(f"weir {' '.join(argv)}: exit {run.returncode}\n{run.stdout}{run.stderr}")
        return run.stdout

    def status(self):
        try:
            value = json.loads(self.command("status", self.config, "-o", "json", check=False))
            return value if value.get("routes") and value.get("state") != "stopped" else None
        except (json.JSONDecodeError, subprocess.TimeoutExpired):
            return None

    def start(self):
        """Starts and waits until it answers on its control socket."""
        self.process = self.place.start(self.name, [self.place.weir_path, "run", self.config], env=self.env)
        wait_for("weir", lambda: self.process.poll() is not None or self.status())
        if self.process.poll() is not None:
            raise SystemExit(f"weir did not start: exit {self.process.returncode}\n{self.place.log(self.name)[-3000:]}")
        return self

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30 * slow())
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise SystemExit(f"weir did not stop\n{self.place.log(self.name)[-3000:]}")
        return self.process.returncode

    def dead(self):
        letters = json.loads(self.command("dead", "list", self.config, "-o", "json"))
        return letters["dead"]

    def idle(self):
        """Everything accepted is completed, and nothing waits."""
        now = self.status()
        return now and all(r["open_events"] == 0 for r in now["routes"]) \
            and all(s.get("journal_events", 0) == 0 for s in now["sources"]) and now


def published(path):
    """The devices' log: two sets of (device, seq): readings, poison."""
    good, poison = set(), set()
    with open(path) as f:
        for line in f:
            device, seq, kind = line.split()
            (poison if kind == "poison" else good).add((device, int(seq)))
    return good, poison


class Skip(Exception):
    """A component that a case needs is not here."""


def skip(component, reason):
    """Ends the case as a skip, or as a failure where WEIR_TEST_REQUIRE names the component."""
    required = os.environ.get("WEIR_TEST_REQUIRE", "").split(",")
    if component in required or "all" in required:
        raise AssertionError(f"{component} is required and not here: {reason}")
    raise Skip(f"SKIP {component}: {reason}")


def run_case(case, name, build, place_name):
    """True, False, or None for a skip, which run-tests is told by a file."""
    begin = time.monotonic()
    try:
        with Place(build, place_name) as place:
            case(place)
    except Skip as why:
        print(f"{why} ({name})", flush=True)
        if os.environ.get("WEIR_TEST_SKIPS"):
            with open(os.environ["WEIR_TEST_SKIPS"], "a") as skips:
                print(f"{why} ({name})", file=skips)
        return None
    except (AssertionError, SystemExit, subprocess.SubprocessError, OSError, KeyError, ValueError, IndexError) as fault:
        print(f"FAIL {name}: {type(fault).__name__} {str(fault)[:1500]}", flush=True)
        return False
    print(f"ok   {name} {time.monotonic() - begin:.1f} s", flush=True)
    return True


def run_cases(names, build, place_name):
    """Runs each case_NAME(place), or those named on the command line, in a folder of its own, and exits. The last line is
    that of a libcheck program."""
    cases = {name[5:]: value for name, value in names.items() if name.startswith("case_")}
    wanted = sys.argv[1:] or list(cases)
    failed = sum(run_case(cases[name], name, build, place_name) is False for name in wanted)
    print(f"{100 * (len(wanted) - failed) // max(1, len(wanted))}%: Checks: {len(wanted)}, Failures: {failed}, Errors: 0")
    sys.exit(1 if failed else 0)
