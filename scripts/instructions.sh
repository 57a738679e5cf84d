#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# instructions.sh [--accept]: counts the instructions of our own paths (benches/paths) under callgrind, and
# compares them with the committed numbers. More than 5 %, and more than 2 instructions, above is a failure.
# --accept writes the numbers that it finds to the file instead. benches/README.md says how to read them.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

COMMITTED=benches/paths/instructions.txt
# Of the C library's functions those for every x86-64 processor: a faster one would be counted differently.
export GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX2,-AVX,-ERMS,-FSRM

case "${1:-}" in
'' | --accept) ;;
*) fail "$1 is no option; there is --accept" ;;
esac
have valgrind || fail 'callgrind is needed: install valgrind (on Debian: apt-get install valgrind)'
[ "$(uname -m)" = x86_64 ] || { skipped "the instructions of our paths (the committed numbers are those of x86_64, not of $(uname -m))"; exit 0; }

# compilers: what the counts depend on, beside the sources.
compilers() {
  printf '%s; %s; %s\n' "$(rustc --version)" "$("$CC" --version | head -n 1)" "$(getconf GNU_LIBC_VERSION 2>/dev/null || echo 'not glibc')"
}

# count FOLDER: builds the program, runs it, and writes FOLDER/found: path and instructions, in the program's order.
count() {
  build_library
  "$CC" -std=gnu17 -O2 -Wall -Wextra -Wpedantic -Wshadow -Werror -Iinclude \
    benches/paths/{paths,values,tasks,keys,threads,holders}.c "$TARGET/release/libthreadlocalmap.a" -pthread -o "$1/paths"
  valgrind --tool=callgrind --callgrind-out-file="$1/costs.%p" --compress-strings=no --compress-pos=no --dump-line=no \
    "$1/paths" >"$1/operations" 2>"$1/log" || { cat "$1/log" >&2; fail 'the program of benches/paths failed under callgrind'; }
  awk -f benches/paths/costs.awk "$1/operations" "$1"/costs.* >"$1/found"
}

# accept FOUND: as the committed file.
accept() {
  cat >"$COMMITTED.new" <<END
# Instructions of one operation of our own paths (benches/paths), loop included: x86_64, callgrind.
# make instructions compares with these and fails above 5 %; make instructions ACCEPT=1 writes them anew.
# A number that has grown is committed with why it is worth it; one that has shrunk, so that it is kept.
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
  say "$COMMITTED is written: commit it, and say why"
  exit 0
fi
[ $status -eq 0 ] && exit 0

taken=$(sed -n 's/^# Taken with: //p' "$COMMITTED")
if [ "$taken" != "$(compilers)" ]; then
  say "The numbers were taken with $taken."
  say "Here is $(compilers): other compilers and C libraries have other counts."
fi
fail "paths have become longer than $COMMITTED says, or are not in it. Make them shorter; or, if what was bought is worth it, accept the new numbers: make instructions ACCEPT=1"
