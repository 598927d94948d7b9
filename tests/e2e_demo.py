#!/usr/bin/env python3
"""The demo, short: it ends by itself with an account in which nothing is lost, with and without a kill, on a terminal and
without one, and leaves nothing behind."""
import glob, os, pty, re, subprocess, sys

import kit

DEMO = os.path.join(kit.ROOT, "examples/iot-telemetry/demo")


def execute(place, terminal=False, **settings):
    """The demo's output. TMPDIR is ours, so that what it leaves shows."""
    env = dict(os.environ, TMPDIR=place.folder, DEMO_SECONDS="3", DEMO_RATE="500", DEMO_DEVICES="50", DEMO_POISON="400", **settings)
    argv = [sys.executable, DEMO, place.build]
    if not terminal:
        run = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60 * kit.slow())
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout
    ours, theirs = pty.openpty()
    process = subprocess.Popen(argv, env=env, stdin=theirs, stdout=theirs, stderr=theirs)
    place.processes.append(process)
    os.close(theirs)
    output = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError: # the other end is closed
            break
        if not piece:
            break
        output += piece
    assert process.wait() == 0, output.decode()
    return output.decode()


def account(output):
    found = dict((name, int(count)) for name, count in re.findall(r"^  ([a-z ]+?) +(\d+)   ", output, re.M))
    assert list(found) == ["published", "accepted", "completed", "dead letters", "run again", "means wrong", "lost"], output
    return found


def ck_account(output):
    of = account(output)
    assert of["published"] > 1000 and of["accepted"] >= of["published"], of
    assert of["published"] == of["completed"] + of["dead letters"], of
    assert of["dead letters"] >= 2 and of["lost"] == 0 and of["means wrong"] == 0, of
    assert "Nothing was lost." in output
    return of


def case_without_a_terminal(place):
    output = execute(place)
    of = ck_account(output)
    assert of["accepted"] == of["published"] and of["run again"] == 0, of
    assert "\x1b" not in output and "\r" not in output, output
    rows = re.findall(r"^ +\d+\.\d s +(\d+) +\d+ +\d+ +\d+ +\d+$", output, re.M)
    assert len(rows) >= 3 and any(int(rate) > 100 for rate in rows), output
    assert not glob.glob(place.path("weir-demo-*")), "it left its folder"


def case_killed_in_the_middle(place):
    output = execute(place, KILL="1")
    ck_account(output)
    assert "killed by SIGKILL" in output
    assert not glob.glob(place.path("weir-demo-*")), "it left its folder"


def case_on_a_terminal(place):
    output = execute(place, terminal=True, KILL="1").replace("\r\n", "\n")
    ck_account(output)
    live = re.findall(r"\r\x1b\[K( +\d+\.\d s [ \d]*)", output)
    assert len(live) >= 6, output
    assert all(len(line) <= 79 for line in live), live


kit.run_cases(globals(), os.environ.get("WEIR_BUILD", "build"), "demos")
