#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# Reads and writes of memory, and leaks, in every program of the C suite.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

headline 'The C suite under valgrind'
if ! have valgrind; then skipped 'the C suite under valgrind (no valgrind)'; exit 0; fi
# Every program; each linked one way, half of them with the shared library, and of hundreds of variants
# every 31st. Deep: both ways, and all of them.
[ -n "${CHECK_DEEP:-}" ] || export THREADLOCALMAP_C_LINKAGE=alternate THREADLOCALMAP_TEST_STRIDE=31
THREADLOCALMAP_DEEP=${CHECK_DEEP:-} \
  THREADLOCALMAP_C_RUNNER='valgrind --quiet --error-exitcode=99 --leak-check=full --show-leak-kinds=all --errors-for-leak-kinds=definite,possible' \
  "$CARGO" test --locked --test c
