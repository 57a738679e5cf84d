#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# Locks, and their order.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

headline 'Locks and races: the programs of the C suite that helgrind can check'
if ! have valgrind; then skipped 'helgrind (no valgrind)'; exit 0; fi
# Nothing is suppressed. Helgrind treats atomic operations as plain ones. A key's holders are linked by an
# atomic operation without a lock, so programs whose threads set or destroy values of one key at the same
# time (threads.c, enumerate_many.c, races.c, exit_races.c, ...) run in the step sanitizers instead, which
# supports the library's atomic operations. So does only_locks.c, which finds a lock that is not taken: the
# number of visitors of a value is an atomic word.
[ -n "${CHECK_DEEP:-}" ] || export THREADLOCALMAP_C_LINKAGE=alternate
THREADLOCALMAP_C_RUNNER='valgrind --tool=helgrind --quiet --error-exitcode=99' \
  THREADLOCALMAP_TEST_SCALE=${THREADLOCALMAP_TEST_SCALE:-500} \
  "$CARGO" test --locked --test c -- --exact abandoned_callbacks abandoned_visits contexts enumerate exit_rounds \
  expunge moving_maps reclaim_any scope_deaths stats tasks thread_exit
