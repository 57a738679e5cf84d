#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# The demo: the same work with the buffers of a pool's threads kept in four ways, one after the
# other, then a table and a chart of the four. `make demo` builds what it needs and calls it.
#   DEMO_FOLDER     the folder to work through (default: this repository)
#   DEMO_DOCUMENTS  as often as it takes until so many documents have come together (20000)
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

out=$TARGET/demo
pool=$out/pool
folder=${DEMO_FOLDER:-.}
documents=${DEMO_DOCUMENTS:-20000}
[ -x "$pool" ] || fail "$pool is not built: make demo builds it"

# run_pool NAME OPTION...: 3 says that buffers leaked or words were counted wrong.
run_pool() {
  local name=$1 status=0
  shift
  headline "pool $*"
  "$pool" "$@" --documents "$documents" --samples "$out/$name.csv" --json "$out/$name.json" "$folder" ||
    status=$?
  case $status in
  0) ;;
  3) [ "$name" != tls ] || fail 'with this library a buffer leaked or a word was counted wrong: please report it' ;;
  *) fail "pool $* ended with status $status" ;;
  esac
}

run_pool tls --with tls
run_pool pthread --with pthread
run_pool pthread-kept --with pthread --keep-keys
run_pool thread_local --with thread_local

headline 'The four runs side by side'
"$TARGET/plot/release/plot" --svg "$out/live-bytes.svg" \
  "$out"/{tls,pthread,pthread-kept,thread_local}.json
printf '\n%smake demo: four runs done in %s s; the chart: %s%s\n' "$BOLD" "$SECONDS" "$out/live-bytes.svg" "$PLAIN"
