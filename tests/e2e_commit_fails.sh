#!/bin/sh
# A disk that fails while weir runs: exit code 5 at once, and what was accepted before is completed by the next run.
set -eu
weir=${WEIR_BUILD:-build}/weir
command -v strace >/dev/null || { echo "SKIP strace: it is not installed"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail() {
    echo "FAIL: $*"
    cat "$folder/err"
    exit 1
}
cat >"$folder/weir.yaml" <<'END'
store: { path: ./store }
sources: { in: { type: stdin } }
sinks: { out: { type: file, path: ./out.txt } }
routes: [ { from: in, to: out } ]
END
# The store's syncs, from the n-th on: each n is another place in the run. Leaks cannot be looked for in a traced process.
for n in 3 5 8 13; do
    rm -rf "$folder/store" "$folder/out.txt"
    code=0
    seq 1 200000 | ASAN_OPTIONS=detect_leaks=0 timeout 60 strace -f -q -o /dev/null -P "$folder/store/data.mdb" \
        -e inject=fdatasync:error=EIO:when=$n+ "$weir" run "$folder/weir.yaml" >"$folder/out" 2>"$folder/err" || code=$?
    [ "$code" = 5 ] || fail "exit code $code with sync $n"
    grep -q 'a commit failed' "$folder/err" || fail "nothing is said with sync $n"
    "$weir" run "$folder/weir.yaml" </dev/null >"$folder/out" 2>"$folder/err" || fail "the next run ended with $?"
    sort -n "$folder/out.txt" | uniq >"$folder/lines"
    [ "$n" = 3 ] || [ -s "$folder/lines" ] || fail "nothing was accepted before sync $n"
    seq 1 "$(wc -l <"$folder/lines")" | cmp -s - "$folder/lines" || fail "a hole in what was accepted, with sync $n"
done
echo "exit code 5, and no hole"
