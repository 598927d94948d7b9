#!/bin/sh
# The two public headers: short, plain C and plain C++ to compilers that forgive nothing, without a header of any library;
# and a function that is written in C++ runs.
set -eu
cd "$(dirname "$0")/.."
build=$(cd "${WEIR_BUILD:-build}" && pwd)
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
fail() {
    echo "FAIL: $*"
    exit 1
}

for header in weir.h weir_option.h weir_plugin.h; do
    [ "$(wc -l <core/$header)" -le 220 ] || fail "core/$header is long: $(wc -l <core/$header) lines"
    others=$(grep '^#include' core/$header | grep -vE '<std(def|int)\.h>|"weir(_option)?.h"') && fail "core/$header includes $others"
    for standard in c99 c11; do
        echo "#include \"$header\"" | ${CC:-cc} -x c -std=$standard -Wall -Wextra -Wconversion -pedantic -Werror -Icore -fsyntax-only - ||
            fail "core/$header is not plain $standard"
    done
done

cxx=$(command -v c++ || command -v g++ || command -v clang++) || {
    echo "SKIP cxx: there is no C++ compiler"
    exit 77
}
cat >"$place/plus.cpp" <<'CPP'
#include "weir_plugin.h"
namespace {
struct plus { int64_t unused; };
const weir_option rows[] = {{"unused", "Nothing.", "1", nullptr, nullptr, offsetof(plus, unused), 0, 9, WEIR_OPTION_INT, 0},
                            {nullptr, nullptr, nullptr, nullptr, nullptr, 0, 0, 0, 0, 0}};
int call(void *, const weir_batch *in, weir_out *out)
{
    for (size_t i = 0; i < in->count; i++)
        if (weir_out_forward(out, i, nullptr) != WEIR_OK)
            return WEIR_NOMEM;
    return WEIR_OK;
}
const weir_function_ops ops = {sizeof ops, "plus", "Hands on.", rows, sizeof(plus), 0, 0, nullptr, call, nullptr};
const weir_function_ops *const functions[] = {&ops, nullptr};
}
WEIR_MODULE = {WEIR_ABI, 0, sizeof weir_module, "plus", WEIR_VERSION, nullptr, nullptr, functions};
CPP
for standard in c++11 c++17; do
    "$cxx" -std=$standard -Wall -Wextra -pedantic -Werror -fPIC -fvisibility=hidden -Icore -c "$place/plus.cpp" -o "$place/plus.o" ||
        fail "the headers are not plain $standard"
done
${CC:-cc} -shared "$place/plus.o" -o "$place/plus.so"
cat >"$place/weir.yaml" <<'YAML'
store: { path: ./store }
sources: { in: { type: stdin } }
functions: { f: { module: ./plus.so } }
sinks: { out: { type: console } }
routes: [ { name: r, from: [ in ], call: f, to: out } ]
YAML
[ "$(echo through | "$build/weir" run "$place/weir.yaml" 2>"$place/log")" = through ] || fail "$(cat "$place/log")"
