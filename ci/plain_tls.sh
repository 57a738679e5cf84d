#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# The C suite over the library without its initial-exec block.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

headline 'The C suite on plain thread-local storage (--features global-dynamic)'
# With a runner, each program is compiled one way instead of three; env just runs it.
# Nothing slows them down: all variants.
[ -n "${CHECK_DEEP:-}" ] || export THREADLOCALMAP_C_LINKAGE=alternate
THREADLOCALMAP_DEEP=1 THREADLOCALMAP_C_RUNNER=env THREADLOCALMAP_TEST_SCALE=${THREADLOCALMAP_TEST_SCALE:-10} \
  "$CARGO" test --locked --features global-dynamic --test c
