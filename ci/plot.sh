#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# The package that draws the plots.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

headline 'The chart program of the demo: clippy and tests'
if "$CARGO" clippy --version >/dev/null 2>&1; then
  "$CARGO" clippy --locked --manifest-path tools/plot/Cargo.toml --target-dir "$TARGET/plot" --all-targets -- -D warnings
fi
"$CARGO" test --locked --manifest-path tools/plot/Cargo.toml --target-dir "$TARGET/plot"
