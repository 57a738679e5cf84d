#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# Installs the tools that the other steps use, and names those that are missing.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

exec scripts/setup.sh
