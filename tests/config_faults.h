/* config_faults.h: configurations that are wrong, each with the whole report it must get. FOLDER and MODULES in a
 * report stand for the folder of the test and that of the test modules, to which `m` in a text is a link. */
#ifndef WEIR_CONFIG_FAULTS_H
#define WEIR_CONFIG_FAULTS_H

struct fault_case {
    const char *text, *report;
};

/* The parts that are right. */
#define SOURCE "sources:\n  in: { type: kit, topics: a }\n"
#define FUNCTION "functions:\n  f: { type: kit }\n"
#define SINK "sinks:\n  out: { type: kit, path: x }\n"
#define ROUTE "routes:\n  - { from: in, to: out }\n"
#define CALLING "routes:\n  - { from: in, call: f, to: out }\n"

static const struct fault_case top_faults[] = {
    {"{}\n", "t.yaml:1:1: `routes` is missing; add it: A list of { from: SOURCE, call: FUNCTION, to: SINK }.\n"},
    {SOURCE SINK,
     "t.yaml:1:1: `routes` is missing; add it: A list of { from: SOURCE, call: FUNCTION, to: SINK }.\n"},
    {SOURCE SINK "routes:\n", "t.yaml:5:8: routes: is no list; expected `- from: ...`, an entry for each route\n"},
    {SOURCE SINK "routes: []\n", "t.yaml:5:9: routes: is empty; add at least one: - { from: SOURCE, to: SINK }\n"},
    {SOURCE SINK "routes: x\n",
     "t.yaml:5:9: routes: is no list; expected `- from: ...`, an entry for each route\n"},
    {SOURCE SINK "routes: { a: b }\n",
     "t.yaml:5:9: routes: is no list; expected `- from: ...`, an entry for each route\n"},
    {SOURCE SINK ROUTE "admin: { listen: off }\n", "t.yaml:7:1: admin: unknown key; known here: store, limits, "
                                                   "log, include, sources, functions, sinks, routes\n"},
    {SOURCE SINK ROUTE "stroe: { path: x }\n", "t.yaml:7:1: stroe: unknown key; did you mean store?\n"},
    {SOURCE SINK ROUTE "store: x\n", "t.yaml:7:8: store: is no mapping; expected { key: value, ... }\n"},
    {SOURCE SINK ROUTE "store: { pth: x }\n", "t.yaml:7:10: store/pth: unknown key; did you mean path?\n"},
    {SOURCE SINK ROUTE "store: { path: [x] }\n", "t.yaml:7:16: store/path: is a list; expected a path\n"},
    {SOURCE SINK ROUTE "store: { path: '' }\n", "t.yaml:7:16: store/path: \"\" is not allowed; expected a path\n"},
    {SOURCE SINK ROUTE "store: { size_max: 1KiB }\n",
     "t.yaml:7:20: store/size_max: \"1KiB\" is not allowed; expected a size, as in 64KiB, 8MiB or 2GB; allowed is "
     "2MiB..16TiB\n"},
    {SOURCE SINK ROUTE "store: { size_max: big }\n",
     "t.yaml:7:20: store/size_max: \"big\" is not allowed; expected a size, as in 64KiB, 8MiB or 2GB; allowed is "
     "2MiB..16TiB\n"},
    {SOURCE SINK ROUTE "store: { size_max: 17TiB }\n",
     "t.yaml:7:20: store/size_max: \"17TiB\" is not allowed; expected a size, as in 64KiB, 8MiB or 2GB; allowed is "
     "2MiB..16TiB\n"},
    {SOURCE SINK ROUTE "limits: { memory: 0 }\n", "t.yaml:7:19: limits/memory: \"0\" is not allowed; expected a "
                                                  "size, as in 64KiB, 8MiB or 2GB; allowed is 1MiB..1TiB\n"},
    {SOURCE SINK ROUTE "limits: { event_bytes: 1B }\n",
     "t.yaml:7:24: limits/event_bytes: \"1B\" is not allowed; expected a size, as in 64KiB, 8MiB or 2GB; allowed "
     "is 1KiB..1GiB\n"},
    {SOURCE SINK ROUTE "limits: { workers: 0 }\n",
     "t.yaml:7:20: limits/workers: \"0\" is not allowed; expected a whole number; allowed is 1..1024\n"},
    {SOURCE SINK ROUTE "limits: { workers: '2' }\n",
     "t.yaml:7:20: limits/workers: \"2\" in quotes is a text; expected a whole number; allowed is 1..1024, without "
     "quotes\n"},
    {SOURCE SINK ROUTE "limits: { workers: many }\n",
     "t.yaml:7:20: limits/workers: \"many\" is not allowed; expected a whole number; allowed is 1..1024\n"},
    {SOURCE SINK ROUTE "limits: { stop: 5 }\n", "t.yaml:7:17: limits/stop: \"5\" is not allowed; expected a "
                                                "duration, as in 20ms, 5s, 2h or 1d; allowed is 0..1h\n"},
    {SOURCE SINK ROUTE "limits: { stop: 2h }\n", "t.yaml:7:17: limits/stop: \"2h\" is not allowed; expected a "
                                                 "duration, as in 20ms, 5s, 2h or 1d; allowed is 0..1h\n"},
    {SOURCE SINK ROUTE "limits: { memory: 1MiB, event_bytes: 2MiB }\n",
     "t.yaml:7:38: limits/event_bytes: an event of that size never fits into limits.memory 1MiB; make one of them "
     "fit\n"},
    {SOURCE SINK ROUTE "log: { level: trace }\n",
     "t.yaml:7:15: log/level: \"trace\" is not allowed; expected error, warn, info or debug\n"},
    {SOURCE SINK ROUTE "log: { level: inof }\n",
     "t.yaml:7:15: log/level: \"inof\" is not allowed; did you mean info? expected error, warn, info or debug\n"},
    {SOURCE SINK ROUTE "log: { format: xml }\n",
     "t.yaml:7:16: log/format: \"xml\" is not allowed; expected text or json\n"},
    {SOURCE SINK ROUTE "include: { a: b }\n", "t.yaml:7:10: include: is a mapping; expected a list of files\n"},
    {SOURCE SINK ROUTE "include: none.yaml\n",
     "t.yaml:7:10: include: cannot be read: No such file or directory; paths start at the folder of this file\n"},
    {SOURCE SINK ROUTE "include: [[x]]\n",
     "t.yaml:7:11: include[0]: is not allowed; expected the path of a file\n"},
    {SOURCE SINK ROUTE "include: ['']\n",
     "t.yaml:7:11: include[0]: is not allowed; expected the path of a file\n"}};

static const struct fault_case source_faults[] = {
    {"text\n", "t.yaml:1:1: the file is no mapping; expected `sources:`, `sinks:`, `routes:` ...\n"},
    {"[a, b]\n", "t.yaml:1:1: the file is no mapping; expected `sources:`, `sinks:`, `routes:` ...\n"},
    {"sources:\n  in: kit\n" SINK ROUTE, "t.yaml:2:7: sources/in: is no mapping; expected { type: KIND, ... }\n"},
    {"sources:\n  in: { topics: a }\n" SINK ROUTE,
     "t.yaml:2:7: sources/in: `type` is missing; add it: `weir list` shows the kinds\n"},
    {"sources:\n  in: { type: [kit], topics: a }\n" SINK ROUTE,
     "t.yaml:2:15: sources/in/type: is a list; expected a text\n"},
    {"sources:\n  in: { type: bad_flag, topics: a }\n" SINK ROUTE,
     "t.yaml:2:15: sources/in/type: MODULES/bad_flag.so: function bad_flag: has flags that this weir does not "
     "know; use a newer weir\n"},
    {"sources:\n  in: { type: kit }\n" SINK ROUTE,
     "t.yaml:2:7: sources/in: `topics` is missing; add it: What to read.\n"},
    {"sources:\n  in: { type: kit, topics: [] }\n" SINK ROUTE,
     "t.yaml:2:28: sources/in/topics: is empty; give at least one\n"},
    {"sources:\n  in: { type: kit, topics: a, count: 1001 }\n" SINK ROUTE,
     "t.yaml:2:38: sources/in/count: \"1001\" is not allowed; expected a whole number; allowed is 0..1000\n"},
    {"sources:\n  in: { type: kit, topics: a, cuont: 1 }\n" SINK ROUTE,
     "t.yaml:2:31: sources/in/cuont: unknown key; did you mean count?\n"},
    {"sources:\n  in: { type: kit, topics: a, wait: 2d }\n" SINK ROUTE,
     "t.yaml:2:37: sources/in/wait: \"2d\" is not allowed; expected a duration, as in 20ms, 5s, 2h or 1d; allowed "
     "is 1s..1d\n"},
    {"sources:\n  in: { type: kit, topics: a, key: nothing }\n" SINK ROUTE,
     "t.yaml:2:36: sources/in/key: \"nothing\" is not a field; one of id, key, subject, source, shard, position, "
     "time, headers.NAME, topic[N], payload, payload.a.b[0]\n"},
    {"sources:\n  in: { type: kit, topics: a, time: { format: unix_s } }\n" SINK ROUTE,
     "t.yaml:2:37: sources/in/time: `field` is missing; add it: The field that holds the event's time.\n"},
    {"sources:\n  in: { type: kit, topics: a, time: { field: key, format: iso } }\n" SINK ROUTE,
     "t.yaml:2:59: sources/in/time/format: \"iso\" is not allowed; expected unix_ms, unix_s or rfc3339\n"},
    {"sources:\n  in: { type: kit, topics: a, url: 'http://u:p@h' }\n" SINK ROUTE,
     "t.yaml:2:36: sources/in/url: is not allowed; expected SCHEME://HOST:PORT with the scheme mqtt or mqtts\n"},
    {"sources:\n  in: { type: kit, topics: a, version: 4 }\n" SINK ROUTE,
     "t.yaml:2:40: sources/in/version: \"4\" is not allowed; expected 5 or 3.1.1\n"},
    {"sources:\n  in: { type: kit, topics: a, tls: { verfy: true } }\n" SINK ROUTE,
     "t.yaml:2:38: sources/in/tls/verfy: unknown key; did you mean verify?\n"},
    {"sources:\n  in: { type: kit, topics: a, tls: 1 }\n" SINK ROUTE,
     "t.yaml:2:36: sources/in/tls: is no mapping; expected true, false or { key: value, ... }\n"},
    {"sources:\n  in: { type: kit, topics: a, rate: 5 }\n" SINK ROUTE,
     "t.yaml:2:37: sources/in/rate: \"5\" is not allowed; expected a rate, as in 1000/s\n"},
    {"sources:\n  in: { type: kit, topics: a, password: { file: none } }\n" SINK ROUTE,
     "t.yaml:2:49: sources/in/password/file: cannot be read: No such file or directory; check the path and its "
     "permissions\n"},
    {"sources:\n  in: { type: kit, topics: a, module: ./none.so }\n" SINK ROUTE,
     "t.yaml:2:39: sources/in/module: FOLDER/none.so: No such file or directory\n"},
    {"sources:\n  'a b': { type: kit, topics: a }\n" SINK "routes:\n  - { from: 'a b', to: out, name: r }\n",
     "t.yaml:2:3: sources/a b: is no name; use 1 to 64 letters, digits, _ - or .\n"},
    {SOURCE "  two: { type: kit, topics: a }\n" SINK ROUTE,
     "t.yaml:3:3: sources/two: no route uses this source; name it in `from` of a route, or remove it\n"}};

static const struct fault_case sink_faults[] = {
    {SOURCE "sinks:\n  out: { type: kit }\n" ROUTE,
     "t.yaml:4:8: sinks/out: `path` is missing; add it: Where to.\n"},
    {SOURCE "sinks:\n  out: { path: x }\n" ROUTE,
     "t.yaml:4:8: sinks/out: `type` is missing; add it: `weir list` shows the kinds\n"},
    {SOURCE "sinks:\n  out: { type: kit, path: x, pth: x }\n" ROUTE,
     "t.yaml:4:30: sinks/out/pth: unknown key; did you mean path?\n"},
    {SOURCE "sinks:\n  out: { type: kit, path: x, retry: { attempts: 0 } }\n" ROUTE,
     "t.yaml:4:49: sinks/out/retry/attempts: \"0\" is not allowed; expected a whole number; allowed is 1..1000000 "
     "or forever\n"},
    {SOURCE "sinks:\n  out: { type: kit, path: x, retry: { attempts: never } }\n" ROUTE,
     "t.yaml:4:49: sinks/out/retry/attempts: \"never\" is not allowed; expected a whole number; allowed is "
     "1..1000000 or forever\n"},
    {SOURCE "sinks:\n  out: { type: kit, path: x, retry: { backoff: 0..1s } }\n" ROUTE,
     "t.yaml:4:48: sinks/out/retry/backoff: \"0..1s\" is not allowed; expected a range of durations, as in "
     "100ms..30s; allowed is 1ms..1d\n"},
    {SOURCE "sinks:\n  out: { type: kit, path: x, retry: forever }\n" ROUTE,
     "t.yaml:4:37: sinks/out/retry: is no mapping; expected { key: value, ... }\n"},
    {SOURCE "sinks:\n  out: { type: kit, path: x, retry: { attempt: 1 } }\n" ROUTE,
     "t.yaml:4:39: sinks/out/retry/attempt: unknown key; did you mean attempts?\n"},
    {SOURCE "sinks:\n  stop: { type: kit, path: x }\nroutes:\n  - { from: in, to: stop }\n",
     "t.yaml:4:3: sinks/stop: is a word of `on_failure` and no name for a sink; choose another\n"},
    {SOURCE "sinks:\n  dead_letter: { type: kit, path: x }\nroutes:\n  - { from: in, to: dead_letter }\n",
     "t.yaml:4:3: sinks/dead_letter: is a word of `on_failure` and no name for a sink; choose another\n"},
    {SOURCE SINK "  idle: { type: kit, path: x }\n" ROUTE,
     "t.yaml:5:3: sinks/idle: no route uses this sink; name it in `to` of a route, or remove it\n"}};

static const struct fault_case function_faults[] = {
    {SOURCE "functions:\n  f: { type: kit, limit: 21 }\n" SINK CALLING,
     "t.yaml:4:26: functions/f/limit: \"21\" is not allowed; expected a whole number; allowed is 1..20\n"},
    {SOURCE "functions:\n  f: { type: kit, limt: 2 }\n" SINK CALLING,
     "t.yaml:4:19: functions/f/limt: unknown key; did you mean limit?\n"},
    {SOURCE "functions:\n  f: { type: kit, options: { limit: 2 } }\n" SINK CALLING,
     "t.yaml:4:19: functions/f/options: goes with `module` only; options of a built-in kind stand beside `type`\n"},
    {SOURCE "functions:\n  f: { type: kit, function: kit }\n" SINK CALLING,
     "t.yaml:4:19: functions/f/function: goes with `module` only; options of a built-in kind stand beside "
     "`type`\n"},
    {SOURCE "functions:\n  f: { type: kit, module: ./x.so }\n" SINK CALLING,
     "t.yaml:4:14: functions/f/type: `type` and `module` exclude each other; `function` names one of several in a "
     "module\n"},
    {SOURCE "functions:\n  f: {}\n" SINK CALLING,
     "t.yaml:4:6: functions/f: `type` is missing; add it: `weir list` shows the kinds\n"},
    {SOURCE "functions:\n  f: kit\n" SINK CALLING,
     "t.yaml:4:6: functions/f: is no mapping; expected { type: KIND, ... }\n"},
    {SOURCE "functions:\n  f: { type: kit, concurrency: 0 }\n" SINK CALLING,
     "t.yaml:4:32: functions/f/concurrency: \"0\" is not allowed; expected a whole number; allowed is 1..1024\n"},
    {SOURCE "functions:\n  f: { module: ./none.so, limit: 2 }\n" SINK CALLING,
     "t.yaml:4:16: functions/f/module: FOLDER/none.so: No such file or directory\n"
     "t.yaml:4:27: functions/f/limit: unknown key; known here: type, module, function, options, concurrency\n"},
    {SOURCE "functions:\n  f: { module: ./none.so, options: [a] }\n" SINK CALLING,
     "t.yaml:4:16: functions/f/module: FOLDER/none.so: No such file or directory\n"},
    {SOURCE "functions:\n  idle: { type: kit }\n  f: { type: kit }\n" SINK CALLING,
     "t.yaml:4:3: functions/idle: no route uses this function; name it in `call` of a route, or remove it\n"}};

static const struct fault_case route_faults[] = {
    {"sources: [a]\n" SINK ROUTE,
     "t.yaml:1:10: sources: is no mapping; expected NAME: { type: ... } for each\n"
     "t.yaml:5:13: routes[0]/from: there is no source \"in\"; define it under `sources`\n"},
    {SOURCE SINK "routes:\n  - x\n",
     "t.yaml:2:3: sources/in: no route uses this source; name it in `from` of a route, or remove it\n"
     "t.yaml:4:3: sinks/out: no route uses this sink; name it in `to` of a route, or remove it\n"
     "t.yaml:6:5: routes[0]: is no mapping; expected { from: SOURCE, to: SINK }\n"},
    {SOURCE SINK "routes:\n  - { to: out }\n",
     "t.yaml:2:3: sources/in: no route uses this source; name it in `from` of a route, or remove it\n"
     "t.yaml:6:5: routes[0]: `from` is missing; add it: The source, or a list of them.\n"},
    {SOURCE SINK "routes:\n  - { from: in }\n",
     "t.yaml:4:3: sinks/out: no route uses this sink; name it in `to` of a route, or remove it\n"
     "t.yaml:6:5: routes[0]: goes nowhere; add `to: SINK`, or `call: FUNCTION`\n"},
    {SOURCE SINK "routes:\n  - { from: [], to: out }\n",
     "t.yaml:2:3: sources/in: no route uses this source; name it in `from` of a route, or remove it\n"
     "t.yaml:6:13: routes[0]/from: is empty; give at least one\n"},
    {SOURCE SINK "routes:\n  - { from: i, to: out }\n",
     "t.yaml:2:3: sources/in: no route uses this source; name it in `from` of a route, or remove it\n"
     "t.yaml:6:13: routes[0]/from: there is no source \"i\"; define it under `sources`\n"},
    {SOURCE SINK "routes:\n  - { from: ina, to: out }\n",
     "t.yaml:6:13: routes[0]/from: there is no source \"ina\"; did you mean in?\n"},
    {SOURCE SINK "routes:\n  - { from: [in, in], to: out }\n",
     "t.yaml:6:18: routes[0]/from[1]: names the source \"in\" twice; name it once\n"},
    {SOURCE "functions:\n  f: { type: pass }\nroutes:\n  - { from: in, call: [f, f] }\n",
     "t.yaml:6:5: routes[0]: has no effect: \"f\" keeps nothing and sends nothing; add `to: SINK`\n"},
    {SOURCE SINK "routes:\n  - { from: in, to: uot }\n",
     "t.yaml:6:21: routes[0]/to: there is no sink \"uot\"; did you mean out?\n"},
    {SOURCE SINK "routes:\n  - { from: in, to: nowhere }\n",
     "t.yaml:4:3: sinks/out: no route uses this sink; name it in `to` of a route, or remove it\n"
     "t.yaml:6:21: routes[0]/to: there is no sink \"nowhere\"; define it under `sinks`\n"},
    {SOURCE SINK "routes:\n  - { from: in, to: [] }\n",
     "t.yaml:4:3: sinks/out: no route uses this sink; name it in `to` of a route, or remove it\n"
     "t.yaml:6:21: routes[0]/to: is empty; name a sink\n"},
    {SOURCE SINK "routes:\n  - { from: in, to: {} }\n",
     "t.yaml:4:3: sinks/out: no route uses this sink; name it in `to` of a route, or remove it\n"
     "t.yaml:6:21: routes[0]/to: is empty; name a sink\n"},
    {SOURCE SINK "routes:\n  - { from: in, to: [out, out] }\n",
     "t.yaml:6:27: routes[0]/to[1]: names the sink \"out\" twice; name it once\n"},
    {SOURCE SINK "routes:\n  - { from: in, to: { a: out } }\n",
     "t.yaml:4:3: sinks/out: no route uses this sink; name it in `to` of a route, or remove it\n"
     "t.yaml:6:21: routes[0]/to: names outputs, but only a function has them; add `call`, or name a sink\n"},
    {SOURCE SINK "routes:\n  - { from: in, to: [[out]] }\n",
     "t.yaml:4:3: sinks/out: no route uses this sink; name it in `to` of a route, or remove it\n"
     "t.yaml:6:22: routes[0]/to[0]: is not allowed; expected the name of a sink\n"},
    {SOURCE SINK "routes:\n  - { from: in, to: }\n",
     "t.yaml:4:3: sinks/out: no route uses this sink; name it in `to` of a route, or remove it\n"
     "t.yaml:6:21: routes[0]/to: is not allowed; expected the name of a sink\n"},
    {SOURCE SINK "routes:\n  - { from: in, call: [], to: out }\n",
     "t.yaml:6:23: routes[0]/call: is empty; name a function, or remove the key\n"},
    {SOURCE SINK "routes:\n  - { from: in, call: kit, to: out }\n",
     "t.yaml:6:23: routes[0]/call: there is no function \"kit\"; define it under `functions`\n"},
    {SOURCE FUNCTION SINK "routes:\n  - { from: in, call: g, to: out }\n",
     "t.yaml:4:3: functions/f: no route uses this function; name it in `call` of a route, or remove it\n"
     "t.yaml:8:23: routes[0]/call: there is no function \"g\"; define it under `functions`\n"},
    {SOURCE FUNCTION SINK "routes:\n  - { from: in, call: f, to: { 'a b': out } }\n",
     "t.yaml:8:32: routes[0]/to/a b: is no name; use 1 to 64 letters, digits, _ - or .\n"},
    {SOURCE FUNCTION SINK "routes:\n  - { from: in, call: f, to: {} }\n",
     "t.yaml:6:3: sinks/out: no route uses this sink; name it in `to` of a route, or remove it\n"
     "t.yaml:8:30: routes[0]/to: is empty; name a sink, or remove the key\n"},
    {SOURCE SINK "routes:\n  - { from: in, to: out, name: 'a b' }\n",
     "t.yaml:6:32: routes/a b/name: is no name; use 1 to 64 letters, digits, _ - or .\n"},
    {"sources:\n  'a b': { type: kit, topics: a }\n" SINK "routes:\n  - { from: 'a b', to: out }\n",
     "t.yaml:2:3: sources/a b: is no name; use 1 to 64 letters, digits, _ - or .\n"},
    {SOURCE SINK "routes:\n  - { from: in, to: out, name: '' }\n",
     "t.yaml:6:32: routes[0]/name: is no name; use 1 to 64 letters, digits, _ - or .\n"},
    {SOURCE SINK "routes:\n  - { from: in, to: out, name: "
                 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx }\n",
     "t.yaml:6:32: routes/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx/name: is no name; use "
     "1 to 64 letters, digits, _ - or .\n"},
    {SOURCE SINK "routes:\n  - { from: in, to: out, bacth: { events: 1 } }\n",
     "t.yaml:6:26: routes[0]/bacth: unknown key; did you mean batch?\n"},
    {SOURCE SINK "routes:\n  - { from: in, to: out, batch: { events: 0 } }\n",
     "t.yaml:6:43: routes[0]/batch/events: \"0\" is not allowed; expected a whole number; allowed is 1..1000000\n"},
    {SOURCE SINK "routes:\n  - { from: in, to: out, batch: { bytes: 0 } }\n",
     "t.yaml:6:42: routes[0]/batch/bytes: \"0\" is not allowed; expected a size, as in 64KiB, 8MiB or 2GB; allowed "
     "is 1B..1GiB\n"},
    {SOURCE SINK "routes:\n  - { from: in, to: out, batch: { wait: -1s } }\n",
     "t.yaml:6:41: routes[0]/batch/wait: \"-1s\" is not allowed; expected a duration, as in 20ms, 5s, 2h or 1d; "
     "allowed is 0..1h\n"},
    {SOURCE SINK "routes:\n  - { from: in, to: out, batch: { size: 1 } }\n",
     "t.yaml:6:35: routes[0]/batch/size: unknown key; known here: events, bytes, wait\n"},
    {SOURCE SINK "routes:\n  - { from: in, to: out, batch: 5 }\n",
     "t.yaml:6:33: routes[0]/batch: is no mapping; expected { key: value, ... }\n"},
    {SOURCE SINK "routes:\n  - { from: in, to: out, batch: { events: 100, bytes: 1MiB }, in_flight: { events: 10, "
                 "bytes: 1KiB } }\n",
     "t.yaml:6:43: routes[0]/batch/events: a batch of 100 events never fits into in_flight.events 10; make one of "
     "them fit\n"
     "t.yaml:6:55: routes[0]/batch/bytes: a batch of 1MiB never fits into in_flight.bytes 1KiB; make one of them "
     "fit\n"},
    {SOURCE SINK "routes:\n  - { from: in, to: out, in_flight: { events: 10000001 } }\n",
     "t.yaml:6:47: routes[0]/in_flight/events: \"10000001\" is not allowed; expected a whole number; allowed is "
     "1..10000000\n"},
    {SOURCE SINK "routes:\n  - { from: in, to: out, order: random }\n",
     "t.yaml:6:33: routes[0]/order: \"random\" is not allowed; expected key, shard or none\n"},
    {SOURCE SINK "routes:\n  - { from: in, to: out, order: shard, lanes: 2 }\n",
     "t.yaml:6:47: routes[0]/lanes: `order: shard` has one lane; remove `lanes`, or use `order: key`\n"},
    {SOURCE SINK "routes:\n  - { from: in, to: out, lanes: 1025 }\n",
     "t.yaml:6:33: routes[0]/lanes: \"1025\" is not allowed; expected a whole number; allowed is 1..1024\n"},
    {SOURCE SINK "routes:\n  - { from: in, to: out, lanes: 0 }\n",
     "t.yaml:6:33: routes[0]/lanes: \"0\" is not allowed; expected a whole number; allowed is 1..1024\n"},
    {SOURCE SINK "routes:\n  - { from: in, to: out, retry: { attempts: 1000001 } }\n",
     "t.yaml:6:45: routes[0]/retry/attempts: \"1000001\" is not allowed; expected a whole number; allowed is "
     "1..1000000 or forever\n"},
    {SOURCE SINK "routes:\n  - { from: in, to: out, retry: { backoff: 2s..1s } }\n",
     "t.yaml:6:44: routes[0]/retry/backoff: \"2s..1s\" is not allowed; expected a range of durations, as in "
     "100ms..30s; allowed is 1ms..1d\n"},
    {SOURCE SINK "routes:\n  - { from: in, to: out, retry: { bisect: yes } }\n",
     "t.yaml:6:43: routes[0]/retry/bisect: \"yes\" is not allowed; expected true or false\n"},
    {SOURCE SINK "routes:\n  - { from: in, to: out, retry: { age_max: 1s } }\n",
     "t.yaml:6:35: routes[0]/retry/age_max: unknown key; known here: attempts, backoff, bisect\n"},
    {SOURCE SINK "routes:\n  - { from: in, to: out, on_failure: out }\n",
     "t.yaml:6:38: routes[0]/on_failure: \"out\" is not allowed; expected dead_letter or stop\n"},
    {SOURCE SINK "routes:\n  - { from: in, to: out, on_failure: dead-letter }\n",
     "t.yaml:6:38: routes[0]/on_failure: \"dead-letter\" is not allowed; did you mean dead_letter? expected "
     "dead_letter or stop\n"},
    {SOURCE SINK "routes:\n  - { from: in, to: out, journal_max: 1KiB }\n",
     "t.yaml:6:39: routes[0]/journal_max: \"1KiB\" is not allowed; expected a size, as in 64KiB, 8MiB or 2GB; "
     "allowed is 64KiB..16TiB\n"},
    {SOURCE SINK "routes:\n  - { from: in, to: out, where: {} }\n",
     "t.yaml:6:26: routes[0]/where: unknown key; known here: name, from, call, to, batch, in_flight, order, lanes, "
     "retry, on_failure, journal_max, moved_state\n"},
    {SOURCE SINK ROUTE "  - { from: in, to: out }\n",
     "t.yaml:7:5: routes[1]: is the second route called \"in-out\", after line 6; give it another `name`\n"},
    {SOURCE SINK "routes:\n  - { from: in, to: out, name: a }\n  - { from: in, to: out, name: a }\n",
     "t.yaml:7:32: routes/a/name: is the second route called \"a\", after line 6; give it another `name`\n"},
    {SOURCE SINK "routes:\n  - { from: in, to: out, lanes: '${WEIR_NONE}' }\n",
     "t.yaml:6:33: routes[0]/lanes: the environment variable WEIR_NONE is not set; set it, or give a default: "
     "${WEIR_NONE:-default}\n"},
    {SOURCE SINK "routes:\n  - { from: '${WEIR_NONE}', to: out }\n",
     "t.yaml:6:13: routes[0]/from: the environment variable WEIR_NONE is not set; set it, or give a default: "
     "${WEIR_NONE:-default}\n"}};

static const struct fault_case module_faults[] = {
    {SOURCE "functions:\n  f: { module: m/stateful.so }\n" SINK
            "routes:\n  - { from: in, call: f, to: out, order: none }\n",
     "t.yaml:8:23: routes[0]/call: \"f\" keeps state per key, which needs an order; remove `order: none`\n"},
    {SOURCE "functions:\n  f: { module: m/stateful.so }\n" SINK
            "routes:\n  - { from: in, call: f, to: out, moved_state: discard }\n",
     "t.yaml:8:48: routes[0]/moved_state: is of no use: only a source whose peer keeps positions has shards that "
     "move, and only a function that keeps state has some to leave behind; remove it\n"},
    {SOURCE "functions:\n  f: { module: m/stateful.so }\n" SINK
            "routes:\n  - { from: in, call: [f, f], to: out }\n",
     "t.yaml:8:27: routes[0]/call[1]: calls \"f\" twice, which keeps state; define it under a second name\n"},
    {SOURCE "functions:\n  f: { module: m/one.so, limit: 2 }\n" SINK CALLING,
     "t.yaml:4:26: functions/f/limit: unknown key; known here: type, module, function, options, concurrency\n"},
    {SOURCE "functions:\n  f: { module: m/one.so, function: two }\n" SINK CALLING,
     "t.yaml:4:36: functions/f/function: MODULES/one.so has no function \"two\"; known: one\n"},
    {SOURCE "functions:\n  f: { module: m/one.so, options: { a: 1 } }\n" SINK CALLING,
     "t.yaml:4:37: functions/f/options/a: unknown key; there are no options here\n"},
    {SOURCE "functions:\n  f: { module: m/several.so }\n" SINK CALLING,
     "t.yaml:4:16: functions/f/module: MODULES/several.so has several functions, name one; known: first, second\n"},
    {SOURCE "functions:\n  f: { module: m/kit.so, function: keeper }\n" SINK CALLING,
     "t.yaml:4:6: functions/f: `type` is missing; add it: Its type.\n"},
    {SOURCE
     "functions:\n  f: { module: m/kit.so, function: keeper, options: { type: x, concurrency: 2 } }\n" SINK CALLING,
     "t.yaml:4:64: functions/f/options/concurrency: unknown key; known here: type\n"},
    {SOURCE "functions:\n  f: { module: m/bad_abi.so }\n" SINK CALLING,
     "t.yaml:4:16: functions/f/module: MODULES/bad_abi.so: was built for ABI 8, this weir has ABI 1; build it with "
     "this weir's headers\n"}};

#endif
