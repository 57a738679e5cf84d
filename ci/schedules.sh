#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# The library under model checkers (tests/schedules/README.md).
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

headline 'The protocol between threads: every schedule of a few steps, random ones of many'
# A build of its own: there the model checker stands behind every shared word.
# Not deep: the largest scenarios have one preemption fewer. What is weakened must be found all the same.
RUSTFLAGS='--cfg modelled' THREADLOCALMAP_DEEP=${CHECK_DEEP:-} "$CARGO" test --locked \
  --manifest-path tests/schedules/Cargo.toml --target-dir "$TARGET/schedules"
