#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# All Rust tests, and with them the C suite (tests/c.rs).
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

headline 'Tests: the Rust parts, and the C suite'
# Each C program as C11, C17 and C++17, in turn with the shared and the static library. Deep: each with both.
[ -n "${CHECK_DEEP:-}" ] || export THREADLOCALMAP_C_LINKAGE=alternate
"$CARGO" test --locked
