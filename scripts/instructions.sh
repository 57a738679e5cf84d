#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# instructions.sh [--accept]: counts the instructions of the library's paths (benches/paths) with callgrind, and
# compares them with the committed numbers. It fails if one is more than 5 % and more than 2 instructions
# higher. --accept writes the new numbers to the file instead. benches/README.md says how to read them.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

COMMITTED=benches/paths/instructions.txt
# Use the C library's functions for every x86-64 processor: faster versions have other counts.
export GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX2,-AVX,-ERMS,-FSRM

case "${1:-}" in
'' | --accept) ;;
*) fail "unknown option $1; the only option is --accept" ;;
esac
have valgrind || fail 'callgrind was not found: install valgrind (Debian: apt-get install valgrind)'
[ "$(uname -m)" = x86_64 ] || { skipped "the instructions of the paths (the committed numbers are for x86_64, not for $(uname -m))"; exit 0; }

# compilers: the versions that the counts depend on.
compilers() {
  printf '%s; %s; %s\n' "$(rustc --version)" "$("$CC" --version | head -n 1)" "$(getconf GNU_LIBC_VERSION 2>/dev/null || echo 'not glibc')"
}

# count FOLDER: builds the program, runs it, and writes FOLDER/found: path and instructions, in the program's order.
count() {
  build_library
  "$CC" -std=gnu17 -O2 -Wall -Wextra -Wpedantic -Wshadow -Werror -Iinclude \
    benches/paths/{paths,values,tasks,keys,threads,holders}.c "$TARGET/release/libthreadlocalmap.a" -pthread -o "$1/paths"
  valgrind --tool=callgrind --callgrind-out-file="$1/costs.%p" --compress-strings=no --compress-pos=no --dump-line=no \
    "$1/paths" >"$1/operations" 2>"$1/log" || { cat "$1/log" >&2; fail 'the program of benches/paths failed with callgrind'; }
  awk -f benches/paths/costs.awk "$1/operations" "$1"/costs.* >"$1/found"
}

# accept FOUND: writes the committed file.
accept() {
  cat >"$COMMITTED.new" <<END
# Instructions of one operation of the library's paths (benches/paths), with the loop: x86_64, callgrind.
# make instructions compares these numbers and fails above 5 %; make instructions ACCEPT=1 replaces them.
# If a number has grown, the commit message gives the reason. If it has shrunk, it is committed too.
# Taken with: $(compilers)
END
  cat "$1" >>"$COMMITTED.new"
  mv "$COMMITTED.new" "$COMMITTED"
}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
count "$folder"
touch -a "$COMMITTED"
status=0
awk -f benches/paths/compare.awk "$COMMITTED" "$folder/found" || status=$?
if [ "${1:-}" = --accept ]; then
  accept "$folder/found"
  say "$COMMITTED was written: commit it, and give the reason in the commit message"
  exit 0
fi
[ $status -eq 0 ] && exit 0

taken=$(sed -n 's/^# Taken with: //p' "$COMMITTED")
if [ "$taken" != "$(compilers)" ]; then
  say "The committed numbers were taken with $taken."
  say "This machine has $(compilers). The counts depend on the compilers and the C library."
fi
fail "some paths are longer than $COMMITTED says, or are not in it. Make them shorter; or, if the gain is worth it, accept the new numbers: make instructions ACCEPT=1"
