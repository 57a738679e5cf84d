#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# Pools, short-lived keys and threads, forks and plug-in reloads at the same time: nothing is left, and nothing grows.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

if [ -n "${CHECK_DEEP:-}" ]; then seconds=300; else seconds=45; fi
headline "A soak of $seconds seconds"
scripts/soak.sh "$seconds"
