#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# How many instructions our own paths take.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

headline 'The instructions of the library'\''s paths, compared with the committed numbers'
if ! have valgrind; then skipped 'the instructions of the paths (no valgrind)'; exit 0; fi
scripts/instructions.sh
