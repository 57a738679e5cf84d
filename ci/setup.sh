#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# Installs what the other steps use; names what is missing.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

exec scripts/setup.sh
