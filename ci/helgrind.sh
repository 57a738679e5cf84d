#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# Locks, and their order.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

headline 'Locks and races: the part of the C suite that shares by locks, under helgrind'
if ! have valgrind; then skipped 'helgrind (no valgrind)'; exit 0; fi
# Nothing is suppressed. Helgrind takes atomic operations for plain ones. A key's holders are linked by
# one without a lock, so programs whose threads set or end values of one key at the same time (threads.c,
# enumerate_many.c, races.c, exit_races.c, ...) are the step sanitizers' instead: it sees the library's
# atomics too. So is only_locks.c, which finds a lock that is not taken: how many look at a value is an
# atomic word.
[ -n "${CHECK_DEEP:-}" ] || export THREADLOCALMAP_C_LINKAGE=alternate
THREADLOCALMAP_C_RUNNER='valgrind --tool=helgrind --quiet --error-exitcode=99' \
  THREADLOCALMAP_TEST_SCALE=${THREADLOCALMAP_TEST_SCALE:-500} \
  "$CARGO" test --locked --test c -- --exact abandoned_callbacks abandoned_visits contexts enumerate exit_rounds \
  expunge moving_maps reclaim_any scope_deaths stats tasks thread_exit
