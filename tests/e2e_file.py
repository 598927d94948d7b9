#!/usr/bin/env python3
"""The sink `file`, by the real binary: its options, and what happens to files while it writes: kills, full disks, names that
cannot be, others who move them.

Each case is a function; usage: e2e_file.py [case ...]"""
import glob, json, os, random, resource, subprocess, sys, time
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kit
from plugins_kit import config, lines, run, traced

BUILD = os.environ.get("WEIR_BUILD", "build")


def case_file_path_is_a_template(place):
    path = config(place, "type: stdin, key: payload.k", "type: file, path: './by/{{key}}.txt'")
    run(place, path, '{"k":"a","n":1}\n{"k":"b","n":2}\n{"k":"a","n":3}\n{"k":"../up","n":4}\n')
    assert [json.loads(l)["n"] for l in lines(place, "by/a.txt")] == [1, 3]
    assert [json.loads(l)["n"] for l in lines(place, "by/b.txt")] == [2]
    dead = kit.Weir(place, path).dead()
    assert len(dead) == 1 and not os.path.exists(place.path("up.txt")), dead


def rotated(place):
    return sorted(glob.glob(place.path("out.txt.*")))


def case_file_rotates_by_bytes_and_keeps_some(place):
    source = "type: generate, count: 2000, payload: '{{seq}} " + "z" * 90 + "'"
    run(place, config(place, source, "type: file, path: ./out.txt, rotate: { bytes: 20KiB }", "batch: { events: 50 },"))
    names = rotated(place)
    assert len(names) > 5 and all(os.path.getsize(n) <= 20 * 1024 for n in names + [place.path("out.txt")])
    got = [int(l.split()[0]) for name in [*names, place.path("out.txt")] for l in open(name)]
    assert sorted(got) == list(range(1, 2001))
    for name in names:
        os.unlink(name)
    os.unlink(place.path("store/data.mdb"))
    run(place, config(place, source, "type: file, path: ./out.txt, rotate: { bytes: 20KiB, keep: 2 }", "batch: { events: 50 },"))
    assert len(rotated(place)) == 2


def case_file_rotates_by_time(place):
    sink = "type: file, path: ./out.txt, rotate: { every: 1s }"
    run(place, config(place, "type: generate, count: 24, rate: 10/s, payload: '{{seq}}'", sink))
    assert 1 <= len(rotated(place)) <= 4
    got = [int(l) for name in [*rotated(place), place.path("out.txt")] for l in open(name)]
    assert sorted(got) == list(range(1, 25))


def syncs(place, sync):
    path = config(place, sink=f"type: file, path: ./out.txt, sync: {sync}")
    trace = traced(place, path, b"a\nb\n", "-e", "trace=fdatasync,fsync")
    return [line for line in trace if "out.txt" in line]


def case_file_sync(place):
    assert syncs(place, "batch") and not syncs(place, "none")


def case_file_whose_sync_fails_is_cut_and_written_again(place):
    path, out = config(place, route="retry: { backoff: 1ms..10ms },"), place.path("out.txt")
    with open(out, "w") as f:
        f.write("before\n")
    given = [f"line {i}" for i in range(500)]
    fault = ["-P", out, "-e", "trace=fdatasync,ftruncate", "-e", "inject=fdatasync:error=EIO:when=1..3"]
    trace = "".join(traced(place, path, "\n".join(given).encode(), *fault))
    assert "EIO" in trace and "ftruncate" in trace, trace
    assert "it cannot be synced" in place.log("weir")
    assert sorted(lines(place)) == sorted(["before", *given]) and lines(place)[0] == "before"


def case_file_torn_line_is_never_merged(place):
    path = config(place)
    run(place, path, "whole\n")
    with open(place.path("out.txt"), "a") as f:
        f.write("torn by a cra")
    run(place, path, "next\n")
    got = lines(place)
    assert got[0] == "whole" and got[-1] == "next" and "torn by a cranext" not in got, got


def case_file_without_space_waits(place):
    path = config(place, "type: generate, count: 3000, payload: '{{seq}} " + "w" * 200 + "'", route="retry: { backoff: 1ms..50ms },")
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (300000, resource.RLIM_INFINITY))
    process = subprocess.Popen([place.weir_path, "run", path], stderr=open(place.path("weir.log"), "ab"), preexec_fn=limit)
    place.processes.append(process)
    kit.wait_for("no space", lambda: "File too large" in place.log("weir") or "too large" in place.log("weir").lower())
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert process.wait(60 * kit.slow()) == 0
    assert [int(l.split()[0]) for l in lines(place)] == list(range(1, 3001))


def case_file_that_may_not_be_written(place):
    os.mkdir(place.path("d"))
    os.mkdir(place.path("d/out.txt"))
    path = config(place, sink="type: file, path: ./d/out.txt")
    process = subprocess.Popen([place.weir_path, "run", path], stdin=subprocess.PIPE, stderr=open(place.path("weir.log"), "ab"))
    place.processes.append(process)
    process.stdin.write(b"a\n")
    process.stdin.close()
    kit.wait_for("a reason", lambda: "Is a directory" in place.log("weir"))
    os.rmdir(place.path("d/out.txt"))
    assert process.wait(60 * kit.slow()) == 0
    assert lines(place, "d/out.txt") == ["a"]


def fed(place, path):
    """weir that reads what the test gives it."""
    process = subprocess.Popen([place.weir_path, "run", path], stdin=subprocess.PIPE, stderr=open(place.path("weir.log"), "ab"))
    place.processes.append(process)
    return process


def give(process, text):
    process.stdin.write(text.encode())
    process.stdin.flush()


def ends(process):
    process.stdin.close()
    assert process.wait(60 * kit.slow()) == 0


def holds(place, name, expected):
    path = place.path(name)
    kit.wait_for(f"{expected} in {name}", lambda: os.path.exists(path) and lines(place, name) == expected)


def case_file_takes_more_paths_than_files_may_be_open(place):
    sink = "type: file, path: './by/{{key}}.txt'"
    run(place, config(place, "type: generate, count: 3000, keys: 300, payload: '{{seq}}'", sink))
    parts = [[int(line) for line in open(name)] for name in glob.glob(place.path("by/*"))]
    assert len(parts) > 200 and all(part == sorted(part) for part in parts)
    assert sorted(n for part in parts for n in part) == list(range(1, 3001))


def case_file_names_that_cannot_be_are_dead_letters(place):
    os.makedirs(place.path("by/folder"))
    os.symlink("../elsewhere", place.path("by/link"))
    path = config(place, "type: stdin, key: payload.k", "type: file, path: './by/{{key}}'")
    bad = ["x" * 300, "x/" * 2500, "file/below", "folder", "link", "..", "../up", "a/../../up", "nul\0", "new\nline", "", "folder/"]
    keys = ["file", *bad, "file"]
    run(place, path, "".join(json.dumps({"k": key, "n": n}) + "\n" for n, key in enumerate(keys)))
    assert [json.loads(line)["n"] for line in lines(place, "by/file")] == [0, len(keys) - 1]
    dead = kit.Weir(place, path).dead()
    assert len(dead) == len(bad) and all(letter["attempts"] == 1 for letter in dead), dead
    assert not os.path.exists(place.path("elsewhere")) and not os.path.exists(place.path("up"))
    assert sorted(os.listdir(place.path("by"))) == ["file", "folder", "link"]


def case_file_path_may_begin_above_the_configuration(place):
    os.mkdir(place.path("etc"))
    text = open(config(place, sink="type: file, path: ../out/here.txt")).read()
    run(place, place.write("etc/weir.yaml", text), "a\n")
    assert lines(place, "out/here.txt") == ["a"]
    for wrong, text in (("./out/", "path: the path names no file"), ("./a/../b", "path: the path leaves its folder")):
        run(place, config(place, sink=f"type: file, path: {wrong}"), code=3)
        assert f"weir.yaml:4:35: sinks/out/{text}" in place.log("weir"), place.log("weir")


def case_file_that_is_put_aside_or_removed_begins_anew(place):
    process = fed(place, config(place))
    give(process, "one\n")
    holds(place, "out.txt", ["one"])
    os.rename(place.path("out.txt"), place.path("aside.txt"))
    give(process, "two\n")
    holds(place, "out.txt", ["two"])
    os.unlink(place.path("out.txt"))
    give(process, "three\n")
    holds(place, "out.txt", ["three"])
    os.truncate(place.path("out.txt"), 0)
    give(process, "four\n")
    ends(process)
    assert lines(place) == ["four"] and lines(place, "aside.txt") == ["one"]


def case_file_of_two_sinks_is_one_sinks(place):
    """The second waits with the reason; when the first has gone, it goes on. No line is torn."""
    first = fed(place, config(place))
    give(first, "one\n")
    holds(place, "out.txt", ["one"])
    second_path = place.write("second.yaml", open(place.path("weir.yaml")).read().replace("./store", "./second"))
    second = fed(place, second_path)
    give(second, "two\n")
    kit.wait_for("a reason", lambda: "another process or sink writes to it" in place.log("weir"))
    ends(first)
    ends(second)
    assert lines(place) == ["one", "two"]


def case_file_payloads_with_newlines_are_told_and_counted(place):
    path = config(place, 'type: generate, count: 3, payload: "a\\nb"')
    run(place, path)
    assert lines(place) == ["a", "b"] * 3
    assert place.log("weir").count("makes several lines") == 1


def case_file_folders_are_synced_into_theirs(place):
    trace = traced(place, config(place, sink="type: file, path: ./a/b/out.txt"), b"x\n", "-e", "trace=fsync")
    synced = {line.split("<")[1].split(">")[0] for line in trace if "fsync(" in line and "<" in line}
    assert {place.path("a/b"), place.path("a"), place.folder} <= synced, synced


def case_file_grows_old_over_restarts(place):
    path = config(place, sink="type: file, path: ./out.txt, rotate: { every: 1s }")
    run(place, path, "old\n")
    born = subprocess.run(["stat", "-c", "%W", place.path("out.txt")], capture_output=True, text=True, check=True).stdout
    if int(born) <= 0:
        kit.skip("birthtime", "this file system does not keep when a file was made")
    kit.wait_for("a second", lambda: time.time() > os.path.getmtime(place.path("out.txt")) + 1.1)
    run(place, path, "new\n")
    assert lines(place) == ["new"] and [open(name).read() for name in rotated(place)] == ["old\n"]


def case_file_without_room_on_the_disk_waits(place):
    if os.geteuid() != 0:
        kit.skip("root", "mounting a small file system needs root")
    disk = place.path("disk")
    os.mkdir(disk)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], check=True)
    try:
        sink = f"type: file, path: {disk}/out.txt, rotate: {{ bytes: 100KiB }}"
        path = config(place, "type: generate, count: 3000, payload: '{{seq}} " + "w" * 200 + "'", sink, "retry: { backoff: 1ms..50ms },")
        process = fed(place, path)
        kit.wait_for("a full disk", lambda: "No space left on device" in place.log("weir"))
        subprocess.run(["mount", "-o", "remount,size=4m", disk], check=True)
        ends(process)
        names = sorted(glob.glob(f"{disk}/out.txt.*")) + [f"{disk}/out.txt"]
        got = [line.split() for name in names for line in open(name)]
        assert all(len(line) == 2 and line[1] == "w" * 200 for line in got)
        assert sorted({int(line[0]) for line in got}) == list(range(1, 3001))
    finally:
        for process in place.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        subprocess.run(["umount", disk], check=True)


def case_file_killed_at_random_keeps_whole_lines(place):
    """Kills while it writes and rotates: no line is torn or joined, none is missing, all but repeats are in order."""
    seed = int(os.environ.get("WEIR_TEST_SEED") or random.getrandbits(32))
    print(f"seed {seed}")
    chance = random.Random(seed)
    sink = "type: file, path: ./out.txt, rotate: { bytes: 30KiB }"
    source = "type: generate, count: 60000, keys: 1, rate: 20000/s, payload: '{{seq}} " + "z" * 60 + "'"
    path = config(place, source, sink, "batch: { events: 50 },")
    for _ in range(12):
        process = fed(place, path)
        end = time.monotonic() + chance.uniform(0.02, 0.25)
        kit.wait_for("the moment", lambda: time.monotonic() > end or process.poll() is not None)
        process.kill()
        process.wait()
    ends(fed(place, path))
    names = rotated(place) + [place.path("out.txt")]
    got = [line for name in names for line in open(name)]
    assert all(line.endswith(" " + "z" * 60 + "\n") and line.count("z") == 60 for line in got)
    numbers = [int(line.split()[0]) for line in got]
    assert set(numbers) == set(range(1, 60001))
    first = list(dict.fromkeys(numbers))
    assert first == sorted(first), "a first delivery is out of order"


kit.run_cases(globals(), BUILD, "file")
