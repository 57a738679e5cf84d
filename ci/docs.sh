#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# The documentation of the Rust sources, private items included.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

headline 'Documentation of the Rust sources: each warning is an error'
RUSTDOCFLAGS='-D warnings -A rustdoc::private_intra_doc_links' "$CARGO" doc --locked --no-deps --document-private-items
