#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# The binary interface, compared with that of the release.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

headline 'The binary interface, compared with that of the release'
scripts/abi.sh
