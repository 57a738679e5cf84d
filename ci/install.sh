#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# An installed copy, and programs that use it.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

headline 'Installation with make, CMake, Meson and cargo-c, and programs that use the installed files'
"$CARGO" test --locked --test install
