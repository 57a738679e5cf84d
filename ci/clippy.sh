#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# Every target of the library, and of the model checkers, without a word of clippy's.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

headline 'Clippy: each warning is an error'
if ! "$CARGO" clippy --version >/dev/null 2>&1; then skipped 'clippy (cargo has no clippy: rustup component add clippy)'; exit 0; fi
# As programs link it, without the standard library; then with it, and all tests.
"$CARGO" clippy --locked -- -D warnings
"$CARGO" clippy --locked --all-targets -- -D warnings
# No other target has a line that the feature takes out.
"$CARGO" clippy --locked --lib --features global-dynamic -- -D warnings
RUSTFLAGS='--cfg modelled' "$CARGO" clippy --locked --manifest-path tests/schedules/Cargo.toml \
  --target-dir "$TARGET/schedules" --all-targets -- -D warnings
