# weir: one Makefile. Folders are listed, not files: a new plug-in, module, test or example is a new file and no edit here.
#
# A plug-in that needs a library of its own says so in a line `/* module: NAME libs: PKG ... */`; all files with that NAME become
# lib/weir/NAME.so. The others are compiled into weir, and the table of built-ins is written by the build.

BUILD ?= build
PREFIX ?= /usr/local
CC ?= cc
CLANG ?= clang
OBJCOPY ?= objcopy
VERSION := $(shell sed -n 's/.*WEIR_VERSION "\(.*\)"/\1/p' core/weir.h)

# One line for each thing that is made; V=1 shows the commands, -s nothing.
ifeq ($(V),)
tell = @$(if $(findstring s,$(firstword -$(MAKEFLAGS))),,printf '  %-4s %s\n' $(1) $@;)
endif

have = $(shell $(CC) -Werror $(1) -x c -c /dev/null -o /dev/null 2>/dev/null && echo $(1))
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wformat=2 -Wno-format-nonliteral
HARDEN := -fstack-protector-strong $(call have,-fstack-clash-protection) $(call have,-fcf-protection=full) -U_FORTIFY_SOURCE
LINK_HARDEN := -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed
ifneq ($(SANITIZE),)
HARDEN := -fno-omit-frame-pointer -fsanitize=$(SANITIZE) -fno-sanitize-recover=all
LINK_HARDEN += -fsanitize=$(SANITIZE)
OPTIMIZE ?= -O1 -g
else ifneq ($(COVERAGE),)
HARDEN := --coverage
LINK_HARDEN += --coverage
OPTIMIZE ?= -O0 -g
else
HARDEN += -D_FORTIFY_SOURCE=3
OPTIMIZE ?= -O2 -g
endif
ifneq ($(WERROR),)
WARN += -Werror
endif

CORE_LIBS := libuv lmdb yaml-0.1 libcjson
CORE_CFLAGS := $(shell pkg-config --cflags $(CORE_LIBS) 2>/dev/null)
CORE_LDLIBS := $(shell pkg-config --libs $(CORE_LIBS) 2>/dev/null)
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE $(OPTIMIZE) $(WARN) $(HARDEN) -fPIC -fvisibility=hidden -Icore $(CORE_CFLAGS) $(CFLAGS)
ALL_LIBS = $(CORE_LDLIBS) -pthread -ldl -lm $(LDLIBS)
ALL_LDFLAGS = $(LINK_HARDEN) $(LDFLAGS)

CORE := $(filter-out core/main.c,$(wildcard core/*.c))
PLUGINS := $(filter-out %/template.c,$(wildcard sources/*.c sources/*/*.c sinks/*.c sinks/*/*.c formats/*.c formats/*/*.c functions/*.c functions/*/*.c))
MODULE_FILES := $(if $(PLUGINS),$(shell grep -l '^/\* module: ' $(PLUGINS)))
BUILTIN_FILES := $(filter-out $(MODULE_FILES),$(PLUGINS))
BUILTINS := $(foreach dir,sources sinks functions,$(filter $(dir)/%.c,$(BUILTIN_FILES)))
MODULES := $(if $(MODULE_FILES),$(shell sed -n 's|^/\* module: \([a-z0-9_]*\) .*|\1|p' $(MODULE_FILES) | sort -u))
module_files = $(shell grep -l '^/\* module: $(1) ' $(MODULE_FILES))
module_packages = $(shell sed -n 's|^/\* module: $(1) libs: \(.*\) \*/|\1|p' $(MODULE_FILES) | tr ' ' '\n' | sort -u)
PRESENT := $(foreach m,$(MODULES),$(if $(shell pkg-config --exists $(call module_packages,$(m)) && echo y),$(m)))
ABSENT := $(filter-out $(PRESENT),$(MODULES))
# A line of left_out.txt; printf puts the tab.
left_out = $(1)\tneeds $(call module_packages,$(1)), and pkg-config did not find it when weir was built\n

# The embedding library is all of it but the command line.
LIBRARY := $(filter-out core/cmd_%.c core/command.c core/target.c,$(CORE)) $(BUILTIN_FILES)
ABI := $(shell sed -n 's/.*WEIR_ABI \([0-9]*\)u/\1/p' core/weir.h)
LIBRARIES := $(BUILD)/lib/libweir.a $(BUILD)/lib/libweir.so

object = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
LIB := $(BUILD)/libweir-core.a
WEIR := $(BUILD)/weir
MODULE_SO := $(PRESENT:%=$(BUILD)/lib/weir/%.so)

TEST_HELPERS := $(wildcard tests/testing*.c tests/broker.c tests/lib_*.c tests/contract_*.c tests/*_kit.c)
TEST_LIBS = $(shell pkg-config --libs check libmosquitto rdkafka 2>/dev/null)
TEST_PROGRAMS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(filter-out %_kit.c,$(wildcard tests/test_*.c tests/sim_*.c)))
TEST_MODULES := $(patsubst tests/modules/%.c,$(BUILD)/tests/modules/%.so,$(wildcard tests/modules/*.c)) \
	$(foreach t,source sink function,$(if $(wildcard $(t)s/template.c),$(BUILD)/tests/modules/template_$(t).so))
EXAMPLE_FILES := $(filter-out examples/embed/%,$(wildcard examples/*/*.c)) # that one is built against an installed weir
EXAMPLE_MODULES := $(if $(EXAMPLE_FILES),$(patsubst %.c,$(BUILD)/%.so,$(shell grep -l '^WEIR_MODULE' $(EXAMPLE_FILES))))
EXAMPLE_PROGRAMS := $(filter-out $(EXAMPLE_MODULES:.so=),$(patsubst %.c,$(BUILD)/%,$(EXAMPLE_FILES)))
BENCH_PROGRAMS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/bench/*.c tests/*_tool.c))
FUZZERS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/fuzz/fuzz_*.c))

.PHONY: all demo test install uninstall clean asan tsan ubsan valgrind lint coverage bench campaign bare fuzz fuzzers help programs needed FORCE
.SECONDARY:
.DELETE_ON_ERROR:

all: $(WEIR) $(LIBRARIES) $(MODULE_SO) $(EXAMPLE_MODULES) $(EXAMPLE_PROGRAMS) ## build weir, its modules and the examples
	@rm -f $(filter-out $(MODULE_SO),$(wildcard $(BUILD)/lib/weir/*.so))
	@sed 's/^/left out: module /; s/\t/: /' $(BUILD)/left_out.txt

# A plain `make` installs nothing; it says what would.
needed:
	@pkg-config --exists $(CORE_LIBS) || { echo 'weir needs libraries: $(CORE_LIBS). Run scripts/deps build, which installs them or says how.' >&2; exit 1; }

$(BUILD)/obj/%.o: %.c | needed
	@mkdir -p $(@D)
	$(call tell,CC)$(CC) $(ALL_CFLAGS) $(FILE_CFLAGS) -MMD -MP -c $< -o $@

$(LIB): $(call object,$(CORE))
	@rm -f $@
	$(call tell,AR)$(AR) rcs $@ $^

# Both are looked at in every build, and written anew only when they change.
$(BUILD)/left_out.txt: FORCE
	@mkdir -p $(@D)
	@printf '$(foreach m,$(ABSENT),$(call left_out,$(m)))' | scripts/update $@
$(BUILD)/builtin.c: FORCE $(BUILD)/left_out.txt
	@scripts/builtins $(BUILD)/left_out.txt $(BUILTINS) | scripts/update $@

$(BUILD)/builtin.o: $(BUILD)/builtin.c core/registry.h core/weir_plugin.h core/weir_option.h core/weir.h
	$(call tell,CC)$(CC) $(ALL_CFLAGS) -c $< -o $@

BUILTIN_OBJECTS := $(call object,$(BUILTIN_FILES)) $(BUILD)/builtin.o

$(WEIR): $(call object,core/main.c) $(BUILTIN_OBJECTS) $(LIB)
	$(call tell,LINK)$(CC) $(ALL_CFLAGS) -pie $(ALL_LDFLAGS) $^ -o $@ $(ALL_LIBS)

# One object whose hidden names are local, so that a static link cannot meet the host's.
$(BUILD)/libweir.o: $(call object,$(LIBRARY)) $(BUILD)/builtin.o
	$(call tell,LINK)$(LD) -r $^ -o $@.all
	@$(OBJCOPY) --localize-hidden $@.all $@
$(BUILD)/lib/libweir.a: $(BUILD)/libweir.o
	@mkdir -p $(@D) && rm -f $@
	$(call tell,AR)$(AR) rcs $@ $^
$(BUILD)/lib/libweir.so: $(BUILD)/libweir.o core/weir.map
	@mkdir -p $(@D)
	$(call tell,LINK)$(CC) $(ALL_CFLAGS) -shared -Wl,-soname,libweir.so.$(ABI) -Wl,--version-script=core/weir.map $(ALL_LDFLAGS) $(if $(SANITIZE),,-Wl,-z,defs) $< -o $@ $(ALL_LIBS)
	@ln -sf libweir.so $@.$(ABI)

define module_rule
$(call object,$(call module_files,$(1))): FILE_CFLAGS = $$(shell pkg-config --cflags $(call module_packages,$(1)))
$(BUILD)/lib/weir/$(1).so: $(call object,$(call module_files,$(1)))
	@mkdir -p $$(@D)
	$$(call tell,LINK)$$(CC) $$(ALL_CFLAGS) -shared $$(ALL_LDFLAGS) $(if $(SANITIZE),,-Wl,-z,defs) $$^ -o $$@ $$(shell pkg-config --libs $(call module_packages,$(1))) -pthread
endef
$(foreach m,$(PRESENT),$(eval $(call module_rule,$(m))))

# Tests.
$(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(call object,$(TEST_HELPERS)) $(BUILTIN_OBJECTS) $(LIB)
	@mkdir -p $(@D)
	$(call tell,LINK)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $^ -o $@ $(TEST_LIBS) $(ALL_LIBS)

$(BUILD)/tests/modules/template_%.so: %s/template.c core/weir.h core/weir_option.h core/weir_plugin.h
	@mkdir -p $(@D)
	$(call tell,LINK)$(CC) $(ALL_CFLAGS) -DWEIR_BUILD_MODULE -shared $(ALL_LDFLAGS) $< -o $@
$(BUILD)/tests/modules/%.so: tests/modules/%.c core/weir.h core/weir_option.h core/weir_plugin.h $(wildcard tests/modules/*.h)
	@mkdir -p $(@D)
	$(call tell,LINK)$(CC) $(ALL_CFLAGS) -shared $(ALL_LDFLAGS) $< -o $@

# Examples.
links_of = $(shell sed -n 's|^/\* links: \(.*\) \*/|\1|p' $(1))
$(EXAMPLE_MODULES): $(BUILD)/%.so: %.c core/weir.h core/weir_option.h core/weir_plugin.h
	@mkdir -p $(@D)
	$(call tell,LINK)$(CC) $(ALL_CFLAGS) -shared $(ALL_LDFLAGS) $< -o $@
$(EXAMPLE_PROGRAMS): $(BUILD)/%: %.c
	@mkdir -p $(@D)
	$(call tell,LINK)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $< -o $@ $(if $(call links_of,$<),$(shell pkg-config --cflags --libs $(call links_of,$<))) -pthread

# What a target needs first may be installed by it, so the build proper is a make of its own; parallel when nothing was said.
SUBMAKE = $(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))

programs: all $(TEST_PROGRAMS) $(TEST_MODULES) $(BENCH_PROGRAMS)

demo: ## install what is missing, build, and run the main job with a real broker (KILL=1: weir is killed in the middle)
	@scripts/deps build demo
	@$(SUBMAKE) all
	@examples/iot-telemetry/demo $(BUILD)

test: ## install what is missing, build, and run every test (TESTS=word: only matching ones)
	@scripts/deps build test kafka
	@$(SUBMAKE) programs
	@scripts/run-tests $(BUILD) $(TESTS)

asan: ## build with AddressSanitizer and UBSan in a folder of its own and run the tests there
	@scripts/deps build test kafka
	@$(SUBMAKE) BUILD=$(BUILD)/asan SANITIZE=address,undefined programs
	@ASAN_OPTIONS=detect_leaks=1 LSAN_OPTIONS=suppressions=$(CURDIR)/tests/lsan.supp:print_suppressions=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 WEIR_TEST_SLOW=4 scripts/run-tests $(BUILD)/asan $(TESTS)

ubsan: ## the same with UBSan alone
	@scripts/deps build test kafka
	@$(SUBMAKE) BUILD=$(BUILD)/ubsan SANITIZE=undefined programs
	@UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 WEIR_TEST_SLOW=3 scripts/run-tests $(BUILD)/ubsan $(TESTS)

tsan: ## the same with ThreadSanitizer
	@scripts/deps build test kafka
	@$(SUBMAKE) BUILD=$(BUILD)/tsan SANITIZE=thread programs
	@TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:suppressions=$(CURDIR)/tests/tsan.supp WEIR_TEST_SLOW=8 scripts/run-tests $(BUILD)/tsan $(TESTS)

valgrind: ## run the unit tests under memcheck
	@scripts/deps build test kafka ci
	@$(SUBMAKE) programs
	@WEIR_TEST_SLOW=20 WEIR_TEST_WRAP="valgrind -q --error-exitcode=99 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite --suppressions=$(CURDIR)/tests/valgrind.supp" scripts/run-tests $(BUILD) $(TESTS)

lint: ## clang-tidy, cppcheck and the format check; every finding is an error
	@scripts/deps build test ci
	@scripts/lint

coverage: ## run the tests with coverage; prints a table, writes build/coverage/coverage.html
	@scripts/deps build test kafka ci
	@$(SUBMAKE) BUILD=$(BUILD)/coverage COVERAGE=1 programs
	@scripts/run-tests $(BUILD)/coverage $(TESTS)
	@gcovr -r . --object-directory $(BUILD)/coverage --exclude tests --exclude examples --html $(BUILD)/coverage/coverage.html --print-summary

bench: ## benchmarks, each beside the bare library in one run, with the ratio
	@scripts/deps build test kafka
	@$(SUBMAKE) programs
	@tests/bench/run $(BUILD)

campaign: ## long campaigns: simulation seeds and kills (LENGTH=short|long)
	@scripts/deps build test kafka
	@$(SUBMAKE) programs
	@tests/campaign/run $(BUILD) $(or $(LENGTH),long)

bare: ## demo and test on a bare Debian 12 in a folder of its own (root, debootstrap)
	@tests/campaign/bare

$(BUILD)/tests/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(BUILTIN_OBJECTS) $(LIB)
	@mkdir -p $(@D)
	$(call tell,LINK)$(CC) $(ALL_CFLAGS) -fsanitize=fuzzer $(ALL_LDFLAGS) $^ -o $@ $(ALL_LIBS)

fuzzers: $(FUZZERS)

fuzz: ## run every fuzzer for FUZZ_SECONDS (30) each
	@scripts/deps build ci
	@$(SUBMAKE) BUILD=$(BUILD)/fuzz CC=$(CLANG) SANITIZE=fuzzer-no-link,address,undefined fuzzers
	@scripts/fuzz $(BUILD)/fuzz $(or $(FUZZ_SECONDS),30)

install: all ## install into PREFIX (/usr/local), below DESTDIR
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/weir $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/include/weir
	install -s -m 755 $(WEIR) $(DESTDIR)$(PREFIX)/bin/weir
	$(if $(MODULE_SO),install -s -m 644 $(MODULE_SO) $(DESTDIR)$(PREFIX)/lib/weir/)
	install -m 644 core/weir.h core/weir_option.h core/weir_plugin.h core/weir_embed.h $(DESTDIR)$(PREFIX)/include/weir/
	printf 'prefix=%s\nmoduledir=$${prefix}/lib/weir\n\nName: weir\nDescription: write functions, sources and sinks for weir\nVersion: %s\nCflags: -I$${prefix}/include/weir\n' '$(PREFIX)' '$(VERSION)' >$(DESTDIR)$(PREFIX)/lib/pkgconfig/weir.pc
	install -s -m 644 $(BUILD)/lib/libweir.so $(DESTDIR)$(PREFIX)/lib/libweir.so.$(ABI)
	ln -sf libweir.so.$(ABI) $(DESTDIR)$(PREFIX)/lib/libweir.so
	install -m 644 $(BUILD)/lib/libweir.a $(DESTDIR)$(PREFIX)/lib/
	scripts/embed-pc '$(PREFIX)' '$(VERSION)' shared >$(DESTDIR)$(PREFIX)/lib/pkgconfig/libweir.pc
	scripts/embed-pc '$(PREFIX)' '$(VERSION)' static >$(DESTDIR)$(PREFIX)/lib/pkgconfig/libweir-static.pc

uninstall: ## remove what install put there
	rm -f $(DESTDIR)$(PREFIX)/bin/weir $(MODULES:%=$(DESTDIR)$(PREFIX)/lib/weir/%.so) $(DESTDIR)$(PREFIX)/include/weir/weir.h $(DESTDIR)$(PREFIX)/include/weir/weir_option.h $(DESTDIR)$(PREFIX)/include/weir/weir_plugin.h $(DESTDIR)$(PREFIX)/include/weir/weir_embed.h $(addprefix $(DESTDIR)$(PREFIX)/lib/,libweir.so libweir.so.$(ABI) libweir.a pkgconfig/libweir.pc pkgconfig/libweir-static.pc) $(DESTDIR)$(PREFIX)/lib/pkgconfig/weir.pc
	-rmdir $(DESTDIR)$(PREFIX)/lib/weir $(DESTDIR)$(PREFIX)/include/weir

clean: ## remove everything that was built
	rm -rf $(BUILD)

help: ## this list
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | awk -F'\t' '{printf "  make %-10s %s\n", $$1, $$2}'

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
