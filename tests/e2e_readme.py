#!/usr/bin/env python3
"""What a newcomer does: the README's function and configuration, copied as they stand, and its commands, line by line, with a
broker of our own. And what the README says is there is there."""
import os, re, shlex, subprocess

import kit

README = open(os.path.join(kit.ROOT, "README.md")).read()


def block(language, number=0, of=1):
    found = re.findall(rf"^```{language}\n(.*?)^```", README, re.S | re.M)
    assert len(found) == of, f"{len(found)} blocks of {language} in the README"
    return found[number]


def function():
    return block("c", 0, 2)


def prepare(place):
    """A folder as the reader sees it: core and build beside the two files."""
    place.write("hello.c", function())
    os.symlink(os.path.join(kit.ROOT, "core"), place.path("core"))
    os.symlink(place.build, place.path("build"))


def commands(port):
    """(command, what its comment says); with our port, and without what would need a terminal's job control."""
    for line in block("sh").splitlines():
        command, _, comment = line.partition("#")
        command = command.replace("1883", str(port)).replace("mosquitto_pub ", f"mosquitto_pub -p {port} ")
        yield command.strip(), comment.strip()


def execute(place, command):
    run = subprocess.run(["sh", "-c", command], cwd=place.folder, capture_output=True, text=True, timeout=60 * kit.slow())
    assert run.returncode == 0, f"{command}: exit {run.returncode}\n{run.stdout}{run.stderr}"
    return run.stdout


def background(place, command, port):
    """Starts it, and waits as a person would: until the broker listens, until weir says that it has subscribed."""
    name = "weir" if "weir" in command else "broker"
    argv = shlex.split(command.rstrip("& "))
    argv[0] = place.path(argv[0]) if "/" in argv[0] else argv[0]
    place.start(name, ["env", "PATH=" + os.environ["PATH"] + ":/usr/sbin", "sh", "-c", 'cd "$1"; shift; exec "$@"', "sh",
                       place.folder] + argv)
    if name == "broker":
        kit.wait_for("the broker", lambda: kit.listening(port))
    else:
        kit.wait_for("the subscription", lambda: "subscribed to 1 of 1" in place.log("weir"))


def lines(place):
    path = place.path("readings.txt")
    return open(path).read().splitlines() if os.path.exists(path) else []


def case_the_example_runs_as_written(place):
    prepare(place)
    port = kit.free_port()
    place.write("weir.yaml", block("yaml").replace("1883", str(port)))
    published, said = 0, {}
    for command, comment in commands(port):
        if command.endswith("&"):
            background(place, command, port)
            continue
        if command.startswith("cat"):
            kit.wait_for("both readings", lambda: len(lines(place)) == published)
        said[command.split(" weir.yaml")[0]] = (execute(place, command), comment)
        published += command.startswith("mosquitto_pub")
    assert published == 2
    output, comment = said["cat readings.txt"]
    assert output == "1: 21.5\n2: 21.7\n" and comment.startswith("1: 21.5, then 2: 21.7;"), (output, comment)
    assert "weir.yaml is fine" in said["build/weir check"][0]
    assert "running" in said["build/weir status"][0]
    assert said["build/weir dead list"][0] == "no dead letters\n"
    goes_on_after_a_kill(place, port)


def goes_on_after_a_kill(place, port):
    weir = place.processes[-1]
    weir.kill()
    weir.wait()
    place.start("after", [place.path("build/weir"), "run", place.path("weir.yaml")])
    kit.wait_for("the subscription", lambda: "subscribed to 1 of 1" in place.log("after"))
    execute(place, f"mosquitto_pub -p {port} -q 1 -t meters/attic -m 21.9; mosquitto_pub -p {port} -q 1 -t meters/cellar -m 8")
    kit.wait_for("the next readings", lambda: {"1: 8", "3: 21.9"} <= set(lines(place)))
    # What was in flight at the kill may be there again, as the README says; the numbers go on all the same.
    assert [line for line in lines(place)[2:] if line not in ("1: 21.5", "2: 21.7", "1: 8")] == ["3: 21.9"], lines(place)
    assert lines(place)[-2:] in (["1: 8", "3: 21.9"], ["3: 21.9", "1: 8"]), lines(place)


def case_the_function_is_clean(place):
    prepare(place)
    execute(place, "cc -std=c11 -Wall -Wextra -Wpedantic -Werror -shared -fPIC -Icore -o hello.so hello.c")
    body = function()[function().index("static int"):function().index("\n}\n") + 2]
    assert len(body.splitlines()) <= 22, "the function is to be about 20 lines"


def case_a_program_with_weir_inside_runs(place):
    """The lines of the README in a main of their own, with a function that hands everything on."""
    symbols = subprocess.run(["readelf", "-W", "--syms", place.weir_path], capture_output=True, text=True, check=True).stdout
    if re.search("__(a|t|ub)san_|__gcov_", symbols):
        kit.skip("release", "a library with sanitizers or coverage is not for every program")
    text = block("c", 1, 2).replace("./data", place.path("data"))
    source = place.write("inside.c", """#include "weir_embed.h"
static int my_data;
static int my_call(void *user, const weir_batch *in, weir_out *out)
{
    (void)user;
    for (size_t i = 0; i < in->count; i++)
        weir_out_forward(out, i, NULL);
    return WEIR_OK;
}
int main(void)
{
""" + text + "return result;\n}\n")
    lib = os.path.join(place.build, "lib")
    subprocess.run(["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{kit.ROOT}/core", source, f"-L{lib}", f"-Wl,-rpath,{lib}",
                    "-lweir", "-o", place.path("inside")], check=True)
    run = subprocess.run([place.path("inside")], input="a\nb\n", capture_output=True, text=True, timeout=60)
    assert run.returncode == 0 and run.stdout == "a\nb\n", run


def case_what_it_names_is_there(place):
    del place
    for name in re.findall(r"`((?:core|functions|sources|sinks|tests|examples)/[a-z0-9_./-]+)`", README):
        assert os.path.exists(os.path.join(kit.ROOT, name)), f"{name} is not there"
    makefile = open(os.path.join(kit.ROOT, "Makefile")).read()
    targets = re.findall(r"(?<![\w-])make ([a-z]+)", README)
    assert len(targets) >= 4
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.M), f"there is no target {target}"


def case_exit_codes_are_those_of_the_program(place):
    codes = subprocess.run([place.weir_path, "help", "exit-codes"], capture_output=True, text=True, check=True).stdout
    for code, meaning in re.findall(r"^ +(\d)  (.*)$", codes, re.M):
        row = re.search(rf"^\| {code} \| (.*) \|$", README, re.M)
        assert row, f"exit code {code} is not in the README"
        for part in meaning.split(", "):
            assert part in row[1], f"{code}: {part!r} is not in {row[1]!r}"


kit.run_cases(globals(), os.environ.get("WEIR_BUILD", "build"), "readme")
