#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# latency.sh: how long the longest single calls take on a thread with a million values (benches/paths/latency.c).
# A table, and the same in target/bench/latency.json. `make latency` calls it; benches/README.md says how to read it.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

mkdir -p "$TARGET/bench"
program=$TARGET/bench/latency
build_library
"$CC" -std=gnu17 -O2 -Wall -Wextra -Wpedantic -Wshadow -Werror -Iinclude \
  benches/paths/{latency,filled,durations,holders}.c "$TARGET/release/libthreadlocalmap.a" -pthread -o "$program"
# Under another name until it is whole.
"$program" "$program.json.new"
mv "$program.json.new" "$program.json"
say "the same as JSON: $program.json"
