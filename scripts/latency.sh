#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# latency.sh: measures the longest single calls on a thread with a million values (benches/paths/latency.c).
# It prints a table, and writes target/bench/latency.json. `make latency` calls it; benches/README.md says how to read it.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

mkdir -p "$TARGET/bench"
program=$TARGET/bench/latency
build_library
"$CC" -std=gnu17 -O2 -Wall -Wextra -Wpedantic -Wshadow -Werror -Iinclude \
  benches/paths/{latency,filled,durations,holders}.c "$TARGET/release/libthreadlocalmap.a" -pthread -o "$program"
# Under another name until it is complete.
"$program" "$program.json.new"
mv "$program.json.new" "$program.json"
say "the results as JSON: $program.json"
