#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# Checks that all Rust sources are formatted by rustfmt.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

headline 'Format'
if ! "$CARGO" fmt --version >/dev/null 2>&1; then skipped 'format (cargo has no fmt: rustup component add rustfmt)'; exit 0; fi
"$CARGO" fmt --all --check
for package in tools/plot benches tests/schedules fuzz fuzz/hunter; do
  "$CARGO" fmt --manifest-path "$package/Cargo.toml" --check
done
say 'all Rust sources are formatted by rustfmt'
