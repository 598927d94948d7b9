#!/bin/sh
# Each planted bug must be found by the simulation within a thousand lives, and without one nothing is found.
set -eu
cd "$(dirname "$0")/.."
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
pure="route* tracker batcher window timers feed retry base crc32c"

build() { # folder with core/ and tests/ -> folder/sim
    files=
    for part in $pure; do
        for file in "$1"/core/$part.c; do files="$files $file"; done
    done
    # shellcheck disable=SC2086
    ${CC:-cc} -std=gnu11 -D_GNU_SOURCE -O1 -I"$1/core" -I"$1/tests" -o "$1/sim" "$1"/tests/sim*.c $files
}

passed=0 failed=0
told() { # result name
    if [ "$1" = ok ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
    echo "$1   $2"
}

mkdir "$place/sound"
cp -r core "$place/sound/core"
mkdir "$place/sound/tests"
cp tests/sim* "$place/sound/tests/"
build "$place/sound"
if "$place/sound/sim" --seeds 1000 >"$place/sound/out"; then told ok "nothing is found where nothing is"; else
    cat "$place/sound/out"
    told FAIL "nothing is found where nothing is"
fi
for bug in tests/planted/*.patch; do
    name=$(basename "$bug" .patch)
    cp -r "$place/sound" "$place/$name"
    patch -s -p1 -d "$place/$name" <"$bug"
    build "$place/$name"
    timeout 120 "$place/$name/sim" --seeds 1000 >"$place/$name/out" || true
    if said=$(grep -m1 -o 'seed [0-9]*, .*BROKEN: .*' "$place/$name/out"); then told ok "$name: $said"; else
        told FAIL "$name is not found"
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
