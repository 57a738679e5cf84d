#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# The program of `make demo`.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

headline 'The demo program, with the folder of the examples'
make --no-print-directory pool
# With this library, the program must count correctly and leak nothing. Otherwise it may leak, but not fail.
"$TARGET/demo/pool" --with tls --threads 8 --repeat 20 --chunk 1 examples
for with in '--with pthread' '--with pthread --keep-keys' '--with thread_local'; do
  status=0
  # shellcheck disable=SC2086
  "$TARGET/demo/pool" $with --threads 8 --repeat 20 --chunk 1 examples >/dev/null 2>&1 || status=$?
  [ $status -eq 0 ] || [ $status -eq 3 ] || fail "pool $with ended with status $status"
done
