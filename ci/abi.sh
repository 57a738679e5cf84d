#!/usr/bin/env bash
# The binary interface, beside that of the release.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

headline 'The binary interface, beside that of the release'
scripts/abi.sh
