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
