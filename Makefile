# The library itself is built by cargo; this drives the rest. `make` alone shows what there is.

CARGO  ?= cargo
CC     ?= cc
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
CFLAGS ?= -O2
MINUTES ?= 5
TARGET := $(or $(CARGO_TARGET_DIR),target)

export CARGO CC DESTDIR

WARNINGS     := -std=c11 -Wall -Wextra -Wpedantic -Werror
DEMO         := $(TARGET)/demo
POOL_SOURCES := $(wildcard examples/pool/*.c)
POOL_OBJECTS := $(POOL_SOURCES:examples/pool/%.c=$(DEMO)/%.o)

.PHONY: help all demo check bench soak install uninstall header pool lib plot clean

help:
	@echo 'make demo      count the words of this repository with a pool of threads, four times:'
	@echo '               with this library, with pthread keys (two ways), with thread_local;'
	@echo '               compare what leaks, and draw it. DEMO_FOLDER=, DEMO_DOCUMENTS='
	@echo 'make check     everything that must hold: format, clippy, docs, tests, the C suite,'
	@echo '               valgrind, aarch64, examples, install, benches. STEPS="format clippy" runs only those'
	@echo 'make bench     measure against the peers, and beside many threads and keys; draw the latter.'
	@echo '               BENCH_FLAGS='
	@echo 'make soak      pools, churn, ending threads, forks and plugin reloads all at once, for MINUTES= (5):'
	@echo '               nothing may be left and nothing may grow'
	@echo 'make all       build the shared and the static library below $(TARGET)/release'
	@echo 'make install   PREFIX=$(PREFIX) LIBDIR= INCLUDEDIR= DESTDIR=  (make uninstall undoes it)'
	@echo 'make header    write include/threadlocalmap.h anew from the Rust sources'
	@echo 'make clean     remove everything that was built'

all: lib

lib:
	@$(CARGO) build --locked --release --lib

plot:
	@$(CARGO) build --locked --release --manifest-path tools/plot/Cargo.toml --target-dir $(TARGET)/plot

$(DEMO)/%.o: examples/pool/%.c $(wildcard examples/pool/*.h) $(wildcard include/*.h)
	@mkdir -p $(DEMO)
	@echo '   $(CC) $<'
	@$(CC) $(WARNINGS) $(CFLAGS) -Iinclude -c $< -o $@

# Linked with the shared library, as most programs are; it finds it where cargo built it.
pool: lib $(POOL_OBJECTS)
	@ln -sf ../release/libthreadlocalmap.so $(DEMO)/libthreadlocalmap.so.0
	@ln -sf libthreadlocalmap.so.0 $(DEMO)/libthreadlocalmap.so
	@$(CC) $(CFLAGS) $(POOL_OBJECTS) -o $(DEMO)/pool -L$(DEMO) -lthreadlocalmap -pthread '-Wl,-rpath,$$ORIGIN'

demo:
	@echo '== Building the library, the pool and the plot'
	@$(MAKE) --no-print-directory pool plot
	@scripts/demo.sh

check:
	@scripts/check.sh $(STEPS)

bench:
	@echo '== Measuring beside the peers'
	@scripts/bench.sh $(BENCH_FLAGS)

soak: plot
	@echo '== Soaking'
	@scripts/soak.sh $$(( $(MINUTES) * 60 ))

install: lib
	@scripts/install.sh '$(PREFIX)' '$(LIBDIR)' '$(INCLUDEDIR)'

uninstall:
	rm -f $(addprefix $(DESTDIR)$(INCLUDEDIR)/,$(notdir $(wildcard include/*.h)))
	rm -f $(DESTDIR)$(LIBDIR)/libthreadlocalmap.a $(DESTDIR)$(LIBDIR)/libthreadlocalmap.so*
	rm -f $(DESTDIR)$(LIBDIR)/pkgconfig/threadlocalmap.pc

header:
	@THREADLOCALMAP_WRITE_HEADER=1 $(CARGO) test --locked --quiet --test header the_header_is_what_the_sources_say
	@echo 'include/threadlocalmap.h is written'

clean:
	$(CARGO) clean
	rm -rf $(DEMO) $(TARGET)/plot benches/target
