#!/bin/sh
# What a new plug-in costs: one file. A source, a sink and a function are copied from the templates into a copy of the
# tree, renamed as the templates say, and nothing else is edited: they are built in, listed, explained, and work.
set -eu
cd "$(dirname "$0")/.."
build=$(cd "${WEIR_BUILD:-build}" && pwd)
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
fail() {
    echo "FAIL: $*"
    exit 1
}
if readelf -W --syms "$build/weir" 2>/dev/null | grep -qE '__(a|t|ub)san_|__gcov_'; then
    echo "SKIP release: the copy is built without sanitizers or coverage"
    exit 77
fi

mkdir "$place/tree"
cp -a Makefile scripts core sources sinks functions "$place/tree/"
cp -a "$build" "$place/build" # what is built already need not be built again
cd "$place/tree"
sed 's/"ticks"/"beats"/; s/source_template/source_beats/' sources/template.c >sources/beats.c
sed 's/"lines"/"rows"/; s/sink_template/sink_rows/' sinks/template.c >sinks/rows.c
sed 's/"changes"/"news"/; s/function_template/function_news/' functions/template.c >functions/news.c
make -s BUILD="$place/build" "$place/build/weir"
weir=$place/build/weir

"$weir" list >list
for kind in beats rows news; do grep -q "$kind" list || fail "\`weir list\` does not name $kind: $(cat list)"; done
"$weir" help beats >help
grep -q "The time between two events" help || fail "no help: $(cat help)"
cat >weir.yaml <<YAML
store: { path: ./store }
sources: { in: { type: beats, every: 1ms, count: 50 } }
functions: { once: { type: news } }
sinks: { all: { type: rows, path: ./all.txt }, new: { type: rows, path: ./new.txt } }
routes:
  - { name: all, from: [ in ], to: all }
  - { name: new, from: [ in ], call: once, retry: { attempts: 1 }, to: new }
YAML
"$weir" run weir.yaml 2>log || fail "exit $?: $(cat log)"
seq 50 >expected
cmp -s expected all.txt || fail "not the numbers 1 to 50: $(cat all.txt)"
[ ! -s new.txt ] || fail "events without a key cannot be compared: $(cat new.txt)"
[ "$("$weir" dead list weir.yaml -o json | grep -o '"id"' | wc -l)" = 50 ] || fail "50 dead letters: $("$weir" dead list weir.yaml)"
sed 's/every: 1ms/every: 1ms, key: payload/' weir.yaml >keyed.yaml
sed -i 's/.\/store/.\/other/; s/all.txt/all2.txt/' keyed.yaml
"$weir" run keyed.yaml 2>log || fail "exit $?: $(cat log)"
sort -n new.txt | cmp -s expected - || fail "not all of the new ones: $(cat new.txt)"
