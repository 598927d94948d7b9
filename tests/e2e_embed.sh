#!/bin/sh
# weir in other programs: the examples are built against an installed weir by the lines of their README, shared and static, and
# run; the libraries export what core/weir.map names, and keep nothing that two instances would share.
set -eu
build=${WEIR_BUILD:-build}
top=$PWD
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail() {
    echo "FAIL: $*"
    exit 1
}
command -v objdump >/dev/null || { echo "SKIP binutils: objdump is not installed"; exit 77; }
if nm -D "$build/lib/libweir.so" | grep -qE '__(a|t|ub)san_|__gcov_'; then
    echo "SKIP release: a build with sanitizers or coverage is not installed"
    exit 77
fi
unset WEIR_MODULES MAKEFLAGS

# What the libraries show, need and hold.
grep -oE 'weir_[a-z_]+;' core/weir.map | tr -d ';' | sort >"$folder/names"
nm -D --defined-only "$build/lib/libweir.so" | grep ' T ' | sed 's/.* //; s/@.*//' | sort >"$folder/shared"
nm -g --defined-only "$build/lib/libweir.a" | grep ' [A-Z] ' | sed 's/.* //' | sort >"$folder/static"
diff "$folder/names" "$folder/shared" || fail "libweir.so does not export what core/weir.map names"
diff "$folder/names" "$folder/static" || fail "libweir.a shows other names than core/weir.map has"
grep -oE 'weir_[a-z_]+\(' core/weir_embed.h | tr -d '(' | sort -u >"$folder/header"
[ -z "$(comm -13 "$folder/header" "$folder/names")" ] || fail "a name is exported that weir_embed.h does not have"
nm -D "$build/lib/libweir.so" | grep -q ' T weir_run@@WEIR_1$' || fail "the names have no version"
readelf -W -d "$build/lib/libweir.so" >"$folder/dynamic"
grep -q 'SONAME.*\[libweir\.so\.1\]' "$folder/dynamic" || fail "wrong soname"
if grep -qE 'NEEDED.*(mosquitto|rdkafka|curl|microhttpd)' "$folder/dynamic"; then fail "linked with a library of a module"; fi
objdump -t "$build/libweir.o" | awk '($4 == ".data" || $4 == ".bss" || $3 == "*COM*") && $NF !~ /^\./ { print $NF }' >"$folder/mutable"
[ "$(cat "$folder/mutable")" = opening ] || fail "data that instances would share: $(cat "$folder/mutable")"

# As a packager installs it, and as a user finds it.
make -s install BUILD="$build" DESTDIR="$folder/root" PREFIX=/usr >"$folder/install" 2>&1 || { cat "$folder/install"; fail "make install"; }
root=$folder/root/usr
mkdir "$folder/bin"
cat >"$folder/bin/pkg-config" <<END
#!/bin/sh
PKG_CONFIG_PATH=$root/lib/pkgconfig exec $(command -v pkg-config) --define-variable=prefix=$root "\$@"
END
chmod +x "$folder/bin/pkg-config"
export PATH="$folder/bin:$PATH" LD_LIBRARY_PATH="$root/lib"
cp examples/embed/* "$folder"
cd "$folder"
grep -E '^(cc|c\+\+) ' README.md >lines
[ "$(grep -c '^cc ' lines)" = 2 ] && [ "$(grep -c '^c++ ' lines)" = 1 ] || fail "README.md has other build lines"

try_embed() { # what is linked
    rm -rf weir-data
    printf 'one\ntwo\nthree\n' | ./embed >out 2>err || { cat err; fail "embed ($1) ended with $?"; }
    [ "$(tr '\n' ' ' <out)" = "one two three " ] || fail "embed ($1) wrote: $(cat out)"
    grep -qx '3 lines, 11 bytes' err || fail "embed ($1) counted: $(cat err)"
    printf 'four\n' | ./embed >out 2>err || fail "embed ($1), again"
    [ "$(cat out)" = four ] || fail "embed ($1), again, wrote: $(cat out)"
}
grep '^cc ' lines | {
    read -r line
    eval "$line -Wall -Wextra -Werror"
    readelf -d embed | grep -q 'NEEDED.*libweir\.so\.1' || fail "the first line does not link the shared library"
    try_embed shared
    read -r line
    eval "$line -Wall -Wextra -Werror"
    if readelf -d embed | grep -q 'NEEDED.*libweir'; then fail "the second line links the shared library"; fi
    try_embed static
}

# A module is found beside the shared library.
cat >modules.c <<'C'
#include <stdio.h>
#include <weir_embed.h>
int main(void)
{
    weir *w = weir_new(NULL);
    weir_source(w, "in", "mqtt", "{ topcis: a }");
    weir_sink(w, "out", "drop", NULL);
    weir_route(w, "{ from: in, to: out }");
    weir_run(w);
    printf("%d %s", weir_exit_code(w), weir_error(w));
    weir_free(w);
    return 0;
}
C
if [ -e "$root/lib/weir/mqtt.so" ]; then
    eval "cc modules.c $(pkg-config --cflags --libs libweir) -o modules"
    ./modules >out
    grep -q '^3 <source in>:1:1: .*url' out && grep -q 'topcis: unknown key; did you mean topics?' out || fail "the module: $(cat out)"
fi

command -v c++ >/dev/null || { echo "SKIP cxx: there is no C++ compiler"; exit 77; }
eval "$(grep '^c++ ' lines) -Wall -Wextra -Werror"
./push 2>err || { cat err; fail "push ended with $?"; }
[ "$(wc -l <one.txt)" = 30 ] && [ "$(wc -l <two.txt)" = 20 ] || fail "push: $(wc -l one.txt two.txt)"
[ "$(tail -n 1 one.txt)" = "ONE 29" ] && [ "$(tail -n 1 two.txt)" = "TWO 19" ] || fail "push: $(tail -n 1 one.txt two.txt)"
cd "$top"
make -s uninstall DESTDIR="$folder/root" PREFIX=/usr
left=$(find "$folder/root" ! -type d)
[ -z "$left" ] || fail "uninstall left $left"
echo "shared, static and C++ run; $(wc -l <"$folder/names") names"
