#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# Runs the C suite under gcc's sanitizers:
#   1. ThreadSanitizer, over the threaded part. The library is instrumented as well. Nothing is
#      suppressed.
#   2. AddressSanitizer with leak checks, and UndefinedBehaviorSanitizer, over all but what is named
#      below.
# Left out: programs that bring an allocator, and those that count or use up pthread keys, which the
# sanitizers have some of themselves.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

WORK=$TARGET/sanitizers
THREADED='abandoned_callbacks abandoned_visits dump_dead_races dump_fd_signals dump_races enumerate enumerate_many enumerate_races exit_races exit_rounds
  expunge hooks_races idle_workers only_locks races reclaim_any reclaim_races signals thread_exit threads user_mutexes'
NOT_ADDRESS='allocation_failure calling_allocator foreign_destructors many_keys no_os_key os_footprint without_memory
  fork fork_in_callbacks fork_stress process_endings process_exit'
export THREADLOCALMAP_TEST_SCALE=${THREADLOCALMAP_TEST_SCALE:-50}
mkdir -p "$WORK"

# can_link FLAG...: whether the compiler has the run-time library.
can_link() { echo 'int main(void) { return 0; }' | "$CC" "$@" -x c - -o "$WORK/probe" 2>/dev/null; }

# run SOURCE LIBRARY FLAG...: compiles, links statically, runs.
run() {
  local source=$1 library=$2 name program
  shift 2
  name=$(basename "$source" .c)
  program=$WORK/$name
  # shellcheck disable=SC2086
  "$CC" -std=c17 -O1 -g "$@" -Iinclude -Itests/c/support "$source" $SHIM -o "$program" "$library" -pthread -ldl
  if ! timeout 300 "$program" >"$program.log" 2>&1; then
    tail -n 60 "$program.log"
    fail "$name failed with $*"
  fi
}

headline 'The threaded part of the C suite under ThreadSanitizer'
if ! can_link -fsanitize=thread; then
  skipped 'ThreadSanitizer (the C compiler cannot link -fsanitize=thread)'
elif ! build_for_threads "$WORK"; then
  skipped "ThreadSanitizer (this rustc does not instrument the library: see $WORK/build.log)"
else
  SHIM=$WORK/tsan_memory.o
  for name in $THREADED; do
    TSAN_OPTIONS='exitcode=66' run tests/c/*/"$name.c" "$INSTRUMENTED.a" -fsanitize=thread -Wno-tsan
  done
  say "$(wc -w <<<"$THREADED") programs, library and tests instrumented: no race"
fi

headline 'The C suite under AddressSanitizer and UndefinedBehaviorSanitizer'
if ! can_link -fsanitize=address,undefined; then
  skipped 'AddressSanitizer (the C compiler cannot link -fsanitize=address,undefined)'
  exit 0
fi
build_library
SHIM=''
ran=0
for source in tests/c/*/*.c; do
  name=$(basename "$source" .c)
  case " $(tr -s ' \n' ' ' <<<"$NOT_ADDRESS") " in *" $name "*) continue ;; esac
  if grep -qF '"own_calloc.h"' "$source"; then continue; fi
  stack=()
  # A thread that ends inside a callback leaves the marks of its frames behind, and the next one that
  # gets its stack is blamed for them (in the sanitizer's own code): so no marks on stacks there.
  if grep -qE 'pthread_(exit|cancel)' "$source"; then stack=(--param asan-stack=0); fi
  # Of this one all variants, here where they are quick.
  deep=''
  if [ "$name" = stale_values_end ]; then deep=1; fi
  THREADLOCALMAP_DEEP=$deep run "$source" "$TARGET/release/libthreadlocalmap.a" -fsanitize=address,undefined -fno-sanitize-recover=all "${stack[@]}"
  ran=$((ran + 1))
done
[ "$ran" -gt 1 ] || fail 'found no program of the C suite below tests/c'
say "$ran programs: no bad access, no leak, no undefined behaviour"
