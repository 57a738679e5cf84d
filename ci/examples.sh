#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# The examples (tests/examples.rs), those with other libraries if the library is installed.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

headline 'Examples: they compile without a warning, print what they should, and leak nothing'
# needs TEST HEADER PACKAGE
needs() {
  have_header "$2" && return
  skipped "examples/$1 (no $2: $3)"
  skips+=(--skip "$1" --exact)
}
skips=()
needs sqlite sqlite3.h libsqlite3-dev
needs zstd zdict.h libzstd-dev
needs openssl openssl/evp.h libssl-dev
"$CARGO" test --locked --test examples -- ${skips[@]+"${skips[@]}"}
