#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# The benchmarks work. Their figures are not judged: nothing that is timed can fail here.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

headline 'The benchmarks: clippy, and a quick run to see that they work'
# One profile for both: what benches/build.rs builds is built once.
if "$CARGO" clippy --version >/dev/null 2>&1; then
  "$CARGO" clippy --locked --profile quick --manifest-path benches/Cargo.toml --all-targets -- -D warnings
fi
"$CARGO" run --locked --profile quick --manifest-path benches/Cargo.toml -- --quick
