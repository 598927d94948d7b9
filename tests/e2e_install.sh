#!/bin/sh
# `make install` into a folder of its own: the program finds its modules beside it, a function is built by nothing but
# pkg-config and runs, and `make uninstall` leaves no file. Installed twice, and below DESTDIR, the same.
set -eu
cd "$(dirname "$0")/.."
build=$(cd "${WEIR_BUILD:-build}" && pwd)
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
unset WEIR_MODULES MAKEFLAGS
fail() {
    echo "FAIL: $*"
    exit 1
}
if readelf -W --dyn-syms "$build/weir" 2>/dev/null | grep -qE '__(a|t|ub)san_|__gcov_'; then
    echo "SKIP release: what has sanitizers is not installed"
    exit 77
fi

make -s BUILD="$build" PREFIX="$place/usr" install >"$place/log" 2>&1 || fail "install: $(cat "$place/log")"
make -s BUILD="$build" PREFIX="$place/usr" install >"$place/log" 2>&1 || fail "install again: $(cat "$place/log")"
weir=$place/usr/bin/weir
cd "$place"
"$weir" list >list
grep -q "^source *mqtt *$place/usr/lib/weir/mqtt.so " list ||
    fail "the module is not found where it was installed: $(cat list)"

cat >upper.c <<'C'
#include <weir.h>
static int upper_call(void *self, const weir_batch *in, weir_out *out)
{
    (void)self;
    for (size_t i = 0; i < in->count; i++)
        weir_out_forward(out, i, NULL);
    return WEIR_OK;
}
static const weir_function_ops upper = {.size = sizeof upper, .type = "upper", .summary = "Hands on.", .call = upper_call};
static const weir_function_ops *const functions[] = {&upper, NULL};
WEIR_MODULE = {.abi = WEIR_ABI, .size = sizeof(weir_module_info), .name = "upper", .version = "1", .functions = functions};
C
PKG_CONFIG_PATH=$place/usr/lib/pkgconfig
export PKG_CONFIG_PATH
[ "$(pkg-config --modversion weir)" = "$("$weir" version | sed -n '1s/^weir //p')" ] || fail "weir.pc has another version"
# shellcheck disable=SC2046
cc -shared -fPIC $(pkg-config --cflags weir) -o upper.so upper.c || fail "what pkg-config says builds no function"
[ "$(pkg-config --variable=moduledir weir)" = "$place/usr/lib/weir" ] || fail "weir.pc names another folder for modules"
cat >weir.yaml <<'YAML'
store: { path: ./store }
sources: { in: { type: stdin } }
functions: { upper: { module: ./upper.so } }
sinks: { out: { type: console } }
routes: [ { from: in, call: upper, to: out } ]
YAML
echo hello | "$weir" run weir.yaml >out 2>log || fail "exit $?: $(cat log)"
grep -q hello out || fail "not on the console: $(cat out)"

cd - >/dev/null
make -s BUILD="$build" PREFIX="$place/usr" uninstall >"$place/log" 2>&1 || fail "uninstall: $(cat "$place/log")"
left=$(find "$place/usr" ! -type d)
[ -z "$left" ] || fail "left behind: $left"
[ ! -e "$place/usr/lib/weir" ] && [ ! -e "$place/usr/include/weir" ] || fail "folders are left behind"

make -s BUILD="$build" PREFIX=/opt/weir DESTDIR="$place/root" install >"$place/log" 2>&1 || fail "DESTDIR: $(cat "$place/log")"
"$place/root/opt/weir/bin/weir" list | grep -q '^sink  *mqtt' || fail "below DESTDIR the module is not found"
grep -q '^prefix=/opt/weir$' "$place/root/opt/weir/lib/pkgconfig/weir.pc" || fail "weir.pc names DESTDIR"
make -s BUILD="$build" PREFIX=/opt/weir DESTDIR="$place/root" uninstall >"$place/log" 2>&1 || fail "uninstall below DESTDIR"
left=$(find "$place/root" ! -type d)
[ -z "$left" ] || fail "left behind below DESTDIR: $left"
