#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# The demo: runs the same work four times, with four ways to keep the buffers of a pool's threads, and
# then prints a table and draws a chart. `make demo` builds the programs and calls it.
#   DEMO_FOLDER     the folder whose files are read (default: this repository)
#   DEMO_DOCUMENTS  the number of documents (20000); the folder is read again until they are reached
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

out=$TARGET/demo
pool=$out/pool
folder=${DEMO_FOLDER:-.}
documents=${DEMO_DOCUMENTS:-20000}
[ -x "$pool" ] || fail "$pool is not built: make demo builds it"

# run_pool NAME OPTION...: status 3 means that buffers leaked or words were counted wrong.
run_pool() {
  local name=$1 status=0
  shift
  headline "pool $*"
  "$pool" "$@" --documents "$documents" --samples "$out/$name.csv" --json "$out/$name.json" "$folder" ||
    status=$?
  case $status in
  0) ;;
  3) [ "$name" != tls ] || fail 'a buffer leaked, or words were counted wrong, with this library: please report it' ;;
  *) fail "pool $* ended with status $status" ;;
  esac
}

run_pool tls --with tls
run_pool pthread --with pthread
run_pool pthread-kept --with pthread --keep-keys
run_pool thread_local --with thread_local

headline 'The results of the four runs'
"$TARGET/plot/release/plot" --svg "$out/live-bytes.svg" \
  "$out"/{tls,pthread,pthread-kept,thread_local}.json
printf '\n%smake demo: four runs done in %s s; the chart: %s%s\n' "$BOLD" "$SECONDS" "$out/live-bytes.svg" "$PLAIN"
