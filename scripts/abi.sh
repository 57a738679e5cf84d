#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# abi.sh [--write]: compares the functions, types and symbols of the shared library, built with debug information,
# with those of the release in tests/abi (abidiff). There may be new ones; the old ones must be unchanged.
# --write writes a description of the current library, for a new release: docs/abi.md says when.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

RELEASE=0.1.0
WORK=$TARGET/abi
case "${1:-}" in '' | --write) ;; *) fail "unknown option $1; the only option is --write" ;; esac
for tool in abidw abidiff; do
  have $tool || { skipped "the comparison with the ABI of $RELEASE (no $tool: abigail-tools)"; exit 0; }
done
machine=$("$CC" -dumpmachine | cut -d - -f 1)
description=tests/abi/$RELEASE-$machine.abi
if [ -z "${1:-}" ] && [ ! -f "$description" ]; then
  skipped "the comparison with the ABI of $RELEASE (tests/abi has no description for $machine)"
  exit 0
fi

CARGO_PROFILE_RELEASE_STRIP=none CARGO_PROFILE_RELEASE_DEBUG=2 build_library_in "$WORK/release" --target-dir "$WORK"
if [ "${1:-}" = --write ]; then
  abidw --no-corpus-path --no-comp-dir-path --no-show-locs "$WORK/release/libthreadlocalmap.so" --out-file "$description"
  # The folder in which cargo keeps crates is not a property of the library.
  sed -i "s#path='/[^']*/registry/src/[^/']*/#path='#; s#path='/rustc/[0-9a-f]*/#path='rustc/#" "$description"
  say "$description was written: commit it with the release"
else
  # Other bits of the status: the tool failed (1, 2), there is a difference (4), an incompatible one (8).
  abidiff --no-added-syms "$description" "$WORK/release/libthreadlocalmap.so" ||
    fail "the binary interface differs from that of $RELEASE, see above; docs/abi.md says what may change"
  say "all functions, types and symbols of $RELEASE are unchanged"
fi
