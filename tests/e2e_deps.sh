#!/bin/sh
# scripts/deps on machines that are not this one: a PATH with nothing but a shell's tools and one package manager. Where it
# cannot install, it prints the command and ends with 1, and calls nothing.
set -eu
cd "$(dirname "$0")/.."
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
fail() {
    echo "FAIL: $*"
    exit 1
}

machine() { # PACKAGE_MANAGER [UID]: makes its PATH
    rm -rf "$place/bin"
    mkdir "$place/bin"
    for tool in sh sed tr sort cat grep; do ln -s "$(command -v "$tool")" "$place/bin/$tool"; done
    printf '#!/bin/sh\necho "$0 $*" >>"%s/called"\n' "$place" >"$place/bin/$1"
    printf '#!/bin/sh\necho %s\n' "${2:-0}" >"$place/bin/id"
    chmod +x "$place/bin/$1" "$place/bin/id"
}

# The script looks into the sbin folders too, which are this machine's.
sed "s|^PATH=.*|PATH=$place/bin|" scripts/deps >"$place/deps"
grep -q "^PATH=$place/bin" "$place/deps" || fail "scripts/deps sets no PATH any more: mend this test"

expect() { # PACKAGE_MANAGER UID BEGINNING PACKAGE...: what is printed for build and test
    machine "$1" "$2"
    beginning=$3
    shift 3
    code=0
    PATH=$place/bin sh "$place/deps" build test >"$place/out" 2>&1 || code=$?
    [ "$code" = 1 ] || fail "exit $code: $(cat "$place/out")"
    [ "$(wc -l <"$place/out")" = 1 ] || fail "not one line: $(cat "$place/out")"
    grep -q "^$beginning[a-z]" "$place/out" || fail "not \`$beginning\`: $(cat "$place/out")"
    grep -q '  \| $' "$place/out" && fail "blanks that need not be: $(cat "$place/out")"
    for package in "$@"; do
        grep -q " $package\( \|$\)" "$place/out" || fail "no $package in: $(cat "$place/out")"
    done
    [ ! -e "$place/called" ] || fail "it called $(cat "$place/called")"
}

expect dnf 0 'weir needs: sudo dnf install ' gcc libuv-devel lmdb-devel libyaml-devel cjson-devel mosquitto-devel check-devel
expect pacman 0 'weir needs: sudo pacman -S --needed ' gcc libuv lmdb libyaml cjson mosquitto check python
expect brew 501 'weir needs: brew install ' libuv lmdb libyaml cjson mosquitto check python3
# Debian as a user without sudo.
expect apt-get 1000 'weir needs, as root: apt-get install ' gcc libc6-dev libuv1-dev liblmdb-dev libmosquitto-dev mosquitto check

code=0
scripts/deps nonsense >"$place/out" 2>&1 || code=$?
[ "$code" = 2 ] && grep -q '^usage: ' "$place/out" || fail "an unknown set: exit $code, $(cat "$place/out")"
# Where all is there, nothing is said or done.
scripts/deps build test >"$place/out" 2>&1 </dev/null || fail "this machine lacks something: $(cat "$place/out")"
[ ! -s "$place/out" ] || fail "said without need: $(cat "$place/out")"
