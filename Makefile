# SPDX-License-Identifier: MIT OR Apache-2.0
# The library itself is built by cargo; this drives the rest. `make` alone shows what there is.

CARGO  ?= cargo
CC     ?= cc
PREFIX ?= /usr/local
ifeq ($(origin prefix),command line)
$(error the variables have capitals here: PREFIX=$(prefix))
endif
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man
CFLAGS ?= -O2
MINUTES ?= 5
TARGET := $(or $(CARGO_TARGET_DIR),target)

export CARGO CC DESTDIR QUICK FUZZ_SECONDS FUZZ_FLAGS HUNTER_FLAGS HUNTER_SECONDS MUTATION_SECONDS

WARNINGS     := -std=c11 -Wall -Wextra -Wpedantic -Werror
DEMO         := $(TARGET)/demo
POOL_SOURCES := $(wildcard examples/pool/*.c)
POOL_OBJECTS := $(POOL_SOURCES:examples/pool/%.c=$(DEMO)/%.o)

# Libraries whose objects are kept for each thread, each an example of its own: its header, its
# Debian package, what to link, and what it takes from the pool.
THINGS           := sqlite zstd openssl
sqlite_HEADER    := sqlite3.h
sqlite_PACKAGE   := libsqlite3-dev
sqlite_LIBS      := -lsqlite3
zstd_HEADER      := zdict.h
zstd_PACKAGE     := libzstd-dev
zstd_LIBS        := -lzstd
zstd_SOURCES     := examples/pool/document.c
openssl_HEADER   := openssl/evp.h
openssl_PACKAGE  := libssl-dev
openssl_LIBS     := -lcrypto
things_sources    = $(wildcard examples/$(1)/*.c examples/things/*.c) examples/pool/pool.c $($(1)_SOURCES)

.PHONY: $(THINGS:%=demo-%) help all demo check check-deep fuzz fuzz-corpus fuzz-mutations bench instructions latency soak install uninstall header manual docs pool lib plot clean

help:
	@echo 'make demo      count the words of this repository with a pool of threads, in four ways:'
	@echo '               with this library, with pthread keys (two ways), with thread_local;'
	@echo '               print and draw how much each leaks. DEMO_FOLDER=, DEMO_DOCUMENTS='
	@echo 'make demo-sqlite, demo-zstd, demo-openssl'
	@echo '               keep connections, contexts and secrets of these libraries for each thread and'
	@echo '               object; print which threads made and destroyed them, and what is left'
	@echo 'make check     run all tests: format, clippy, docs, tests, the C suite, fuzzing inputs, instructions,'
	@echo '               valgrind, aarch64, examples, install, benches. Each step is a file, ci/STEP.sh;'
	@echo '               STEPS="format clippy" runs only these two'
	@echo 'make check-deep'
	@echo '               run the longer tests too: every program as C11, C17 and C++17, under valgrind,'
	@echo '               helgrind and on aarch64, both shared and static; the C++ tests with clang; the largest'
	@echo '               schedules with all their preemptions; every Python. Use it nightly.'
	@echo 'make fuzz      search for inputs that fail, FUZZ_SECONDS=60 in all; make fuzz-corpus adds the inputs'
	@echo '               that were found to the corpus'
	@echo 'make fuzz-mutations'
	@echo '               check that the hunter finds each fault of fuzz/mutations, MUTATION_SECONDS=600'
	@echo 'make bench     compare with every peer that is installed, and measure with many threads and keys; write'
	@echo '               docs/benchmarks.md with its pictures. QUICK=1: a short test run. BENCH_FLAGS='
	@echo 'make instructions'
	@echo '               count the instructions of the library'\''s paths and compare them with the committed'
	@echo '               numbers; ACCEPT=1 replaces these'
	@echo 'make latency   measure the longest single calls with a million values'
	@echo 'make soak      run pools, short-lived keys and threads, forks and plug-in reloads at the same time, for'
	@echo '               MINUTES= (5): nothing may be left, and nothing may have grown'
	@echo 'make all       build the shared and the static library, in $(TARGET)/release; $(TARGET)/dist has'
	@echo '               them under their installed names'
	@echo 'make install   PREFIX=$(PREFIX) LIBDIR= INCLUDEDIR= MANDIR= DESTDIR=; make uninstall, with'
	@echo '               the same folders, removes what was installed'
	@echo 'make header    write include/threadlocalmap.h from the Rust sources'
	@echo 'make manual    the same, and then the man pages below docs/man'
	@echo 'make docs      write the HTML site below $(TARGET)/docs with Doxygen: reference, guides, examples'
	@echo 'make clean     remove everything that was built'

all: lib

lib:
	@scripts/build.sh --stage '$(TARGET)/dist'

plot:
	@$(CARGO) build --locked --release --manifest-path tools/plot/Cargo.toml --target-dir $(TARGET)/plot

$(DEMO)/%.o: examples/pool/%.c $(wildcard examples/pool/*.h) $(wildcard include/*.h)
	@mkdir -p $(DEMO)
	@echo '   $(CC) $<'
	@$(CC) $(WARNINGS) $(CFLAGS) -Iinclude -c $< -o $@

# Linked with the shared library, as most programs are; it finds it where cargo built it.
pool: lib $(POOL_OBJECTS)
	@ln -sf ../dist/libthreadlocalmap.so.0 $(DEMO)/libthreadlocalmap.so.0
	@ln -sf libthreadlocalmap.so.0 $(DEMO)/libthreadlocalmap.so
	@$(CC) $(CFLAGS) $(POOL_OBJECTS) -o $(DEMO)/pool -L$(DEMO) -lthreadlocalmap -pthread '-Wl,-rpath,$$ORIGIN'

define thing
$(DEMO)/thing-$(1): $(call things_sources,$(1)) $(wildcard examples/$(1)/*.h examples/things/*.h examples/pool/*.h include/*.h)
	@mkdir -p $(DEMO)
	@echo '#include <$($(1)_HEADER)>' | $(CC) $(CFLAGS) -E - >/dev/null 2>&1 || \
		{ echo 'make demo-$(1) needs $($(1)_HEADER). On Debian: apt-get install $($(1)_PACKAGE)'; exit 1; }
	@echo '   $(CC) examples/$(1)/*.c'
	@ln -sf ../dist/libthreadlocalmap.so.0 $(DEMO)/libthreadlocalmap.so.0
	@ln -sf libthreadlocalmap.so.0 $(DEMO)/libthreadlocalmap.so
	@$(CC) $(WARNINGS) $(CFLAGS) -Iinclude $(call things_sources,$(1)) -o $$@ \
		-L$(DEMO) -lthreadlocalmap $($(1)_LIBS) -pthread '-Wl,-rpath,$$$$ORIGIN'

demo-$(1): lib
	@$(MAKE) -s --no-print-directory $(DEMO)/thing-$(1)
	@$(DEMO)/thing-$(1)
endef
$(foreach name,$(THINGS),$(eval $(call thing,$(name))))

demo:
	@echo '== Building the library, the pool and the plot'
	@$(MAKE) --no-print-directory pool plot
	@scripts/demo.sh

check:
	@scripts/check.sh $(STEPS)

check-deep:
	@CHECK_DEEP=1 scripts/check.sh $(or $(STEPS),setup valgrind schedules rust aarch64 cpp plain_tls helgrind python)

fuzz:
	@scripts/fuzz.sh $(FUZZ_TARGETS)

fuzz-mutations:
	@scripts/mutations.sh

fuzz-corpus:
	@scripts/fuzz.sh --merge $(FUZZ_TARGETS)

bench:
	@echo '== Measuring, with the peers that are installed'
	@scripts/bench.sh $(BENCH_FLAGS)

instructions:
	@echo '== Counting the instructions of our own paths'
	@scripts/instructions.sh $(if $(ACCEPT),--accept)

latency:
	@echo '== Looking for the longest calls among a million values'
	@scripts/latency.sh

soak: plot
	@echo '== Soaking'
	@scripts/soak.sh $$(( $(MINUTES) * 60 ))

# Not for other targets: a make that one of them calls would take them for its own.
install uninstall: export PREFIX := $(PREFIX)
install uninstall: export LIBDIR := $(LIBDIR)
install uninstall: export INCLUDEDIR := $(INCLUDEDIR)
install uninstall: export MANDIR := $(MANDIR)

# It builds first, where there is a cargo: root may have none.
install:
	@scripts/install.sh

uninstall:
	@scripts/install.sh --uninstall

header:
	@THREADLOCALMAP_WRITE_HEADER=1 $(CARGO) test --locked --quiet --test header the_header_is_what_the_sources_say
	@echo 'include/threadlocalmap.h is written'

# The pages are written from the header, so that comes first.
manual: header
	@THREADLOCALMAP_WRITE_MANUAL=1 $(CARGO) test --locked --quiet --test manual the_man_pages_are_what_the_header_says
	@echo 'docs/man is written'

docs:
	@command -v doxygen >/dev/null || { echo 'make docs needs doxygen. On Debian: apt-get install doxygen'; exit 1; }
	@THREADLOCALMAP_SITE='$(abspath $(TARGET))/docs' $(CARGO) test --locked --quiet --test manual the_site_
	@echo '$(TARGET)/docs/html/index.html is written'

clean:
	$(CARGO) clean
	rm -rf $(DEMO) $(TARGET)/plot benches/target
