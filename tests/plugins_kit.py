"""What the tests of plug-ins by the real binary share: one route from a source to a sink, run to its end."""
import os, subprocess
import kit


def config(place, source="type: stdin", sink="type: file, path: ./out.txt", route="", functions="", more=""):
    call = f"call: f, " if functions else ""
    functions = f"functions: {{ f: {{ {functions} }} }}\n" if functions else ""
    return place.write("weir.yaml", f"store: {{ path: ./store }}\nlimits: {{ stop: 5s }}\nsources: {{ in: {{ {source} }} }}\n{functions}"
                       f"sinks: {{ out: {{ {sink} }} }}\nroutes: [ {{ name: r, from: [ in ], {call}{route} to: out }} ]\n{more}")


def run(place, path, text="", code=0, **more):
    done = subprocess.run([place.weir_path, "run", path], input=text.encode(), capture_output=True, timeout=60 * kit.slow(), **more)
    with open(place.path("weir.log"), "ab") as log:
        log.write(done.stderr)
    assert done.returncode == code, f"exit {done.returncode}, expected {code}\n{done.stderr.decode()[-2000:]}"
    return done.stdout.decode()


def lines(place, name="out.txt"):
    with open(place.path(name)) as f:
        return f.read().splitlines()


def refused(place, path, *texts):
    done = subprocess.run([place.weir_path, "check", path], capture_output=True, text=True, timeout=60 * kit.slow())
    assert done.returncode == 3, f"exit {done.returncode}: {done.stderr}"
    for text in texts:
        assert text in done.stderr + done.stdout, f"{text!r} is not in {done.stderr}{done.stdout}"


def traced(place, path, text, *options):
    """What strace wrote about a run that must end well. Leaks cannot be looked for in a traced process."""
    if not kit.shutil.which("strace"):
        kit.skip("strace", "it is not installed")
    command = ["strace", "-f", "-y", *options, "-o", place.path("trace"), place.weir_path, "run", path]
    environment = dict(os.environ, ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0")
    with open(place.path("weir.log"), "ab") as log:
        subprocess.run(command, input=text, stderr=log, env=environment, timeout=60 * kit.slow(), check=True)
    return open(place.path("trace")).readlines()
