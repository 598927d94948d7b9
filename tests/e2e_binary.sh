#!/bin/sh
# The binary that users get: hardened, small, and not linked with any broker's library.
set -eu
build=${WEIR_BUILD:-build}
weir=$build/weir
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail() {
    echo "FAIL: $*"
    exit 1
}
command -v readelf >/dev/null && command -v strip >/dev/null || { echo "SKIP binutils: readelf and strip are not installed"; exit 77; }
readelf -W --dyn-syms "$weir" >"$folder/symbols"
if readelf -W --syms "$weir" | grep -qE '__(a|t|ub)san_|__gcov_'; then
    echo "SKIP release: a build with sanitizers or coverage is not hardened"
    exit 77
fi

readelf -W -h -l -d "$weir" >"$folder/elf"
grep -q 'Type: *DYN' "$folder/elf" || fail "not position independent"
grep -q 'GNU_RELRO' "$folder/elf" || fail "no RELRO"
grep -qE 'BIND_NOW|FLAGS_1.*NOW' "$folder/elf" || fail "not bound at start"
grep -q 'GNU_STACK.*RW ' "$folder/elf" || fail "the stack may be executed"
grep -q '__stack_chk_fail' "$folder/symbols" || fail "no stack protector"
grep -qE '__[a-z]+_chk' "$folder/symbols" || fail "FORTIFY_SOURCE is not in effect"
if grep -qE 'NEEDED.*(mosquitto|rdkafka|curl|microhttpd|check)' "$folder/elf"; then
    fail "linked with a library that belongs into a module"
fi

strip -o "$folder/weir" "$weir"
size=$(wc -c <"$folder/weir")
[ "$size" -le 2000000 ] || fail "stripped, the binary has $size bytes"
for module in "$build"/lib/weir/*.so; do
    [ -e "$module" ] || continue
    exported=$(nm -D --defined-only "$module" | sed 's/.* //' | grep -vE '^(_init|_fini)$')
    [ "$exported" = weir_module ] || fail "$module exports more than weir_module: $exported"
done
echo "hardened; $size bytes"
