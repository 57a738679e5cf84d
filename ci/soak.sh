#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# Everything at once, for a while: nothing is left, nothing grows.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

headline 'A soak of a minute and a half'
# A minute's work, with another step beside it.
scripts/soak.sh 90
