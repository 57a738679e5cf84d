#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# check.sh [STEP...]: the steps named, or all of them; stops when one has failed. A step is a file,
# ci/STEP.sh. Two at a time, begun in order, because most of them have phases that keep one core busy
# only. What a step prints is shown when it has ended; until then, a line each minute says how far it
# is. One step alone, or all with CHECK_JOBS=1: one after the other, and their output as it comes. At
# the end, a table: how long each step took, and how much time it had on processors.
# Steps that run beside each other write no file in common; cargo's locks keep its own apart.
# CHECK_DEEP=1 (make check-deep): of some steps there is more than a check has time for; all of that.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

# What fails soonest, then what takes longest, so that the end is short. "others": steps that are not
# named here.
ORDER='setup format docs clippy instructions valgrind schedules rust aarch64 cpp benches fuzz sanitizers soak others
  plain_tls pools helgrind plot examples python install abi demo'

# all_steps: a line each, in this order.
all_steps() {
  local step file
  for step in $ORDER; do
    if [ "$step" != others ]; then printf '%s\n' "$step"; continue; fi
    for file in ci/*.sh; do
      step=$(basename "$file" .sh)
      case " $(tr -s ' \n' ' ' <<<"$ORDER") " in *" $step "*) ;; *) printf '%s\n' "$step" ;; esac
    done
  done
}

steps=("$@")
[ ${#steps[@]} -gt 0 ] || mapfile -t steps < <(all_steps)
for step in "${steps[@]}"; do
  [ -x "ci/$step.sh" ] || fail "no step $step (ci/$step.sh); there are: $(all_steps | paste -sd ' ')"
done

SKIPS=$(mktemp)
LOGS=$(mktemp -d)
export SKIPS
failed=()
# The steps that are running beside each other, with the processes that lead them.
declare -A running=() began=()

# processor_time FILE: the seconds that the children had, of what `times` has written.
processor_time() {
  awk -F '[ms ]+' 'NR == 2 { print $1 * 60 + $2 + $3 * 60 + $4 }' "$1" 2>/dev/null || echo 0
}

# ended STEP SECONDS PROCESSOR: says so, and keeps it for the table.
ended() {
  printf '%s %s %s\n' "$1" "$2" "${3:-0}" >>"$LOGS/times"
  say "($1: $2 s, $(printf '%.0f' "${3:-0}") s of processor time)"
}

# The longest first. Beside each other, steps wait for processors: together they take less than the sum.
table() {
  printf '\n   %-14s %8s %12s\n' step seconds 'on processors'
  sort -k 2 -n -r "$LOGS/times" | awk -v all="$SECONDS" '
    { printf "   %-14s %8d %12.0f\n", $1, $2, $3; sum += $3 }
    END { printf "   %-14s %8d %12.0f\n", "all", all, sum }'
}

finish() {
  local status=$? step names
  # Interrupted: what still runs must not go on alone.
  for step in "${!running[@]}"; do kill -- "-${running[$step]}" 2>/dev/null || true; done
  if [ "$(sed -n 2p "$LOGS/times" 2>/dev/null)" ]; then table; fi
  if [ $status -ne 0 ]; then
    [ ${#failed[@]} -gt 0 ] || failed=("${!running[@]}")
    printf -v names '%s and ' "${failed[@]}"
    printf '\n%smake check: FAILED at the step %s after %s s. Again, alone: make check STEPS=%s%s\n' \
      "$RED" "${names% and }" "$SECONDS" "${failed[0]:-}" "$PLAIN"
  elif [ -s "$SKIPS" ]; then
    printf '\n%smake check: all that could run passed, in %s s. SKIPPED: %s%s\n' \
      "$YELLOW" "$SECONDS" "$(paste -sd ';' "$SKIPS" | sed 's/;/; /g')" "$PLAIN"
  else
    printf '\n%smake check: everything passed, nothing skipped, in %s s (%s)%s\n' \
      "$BOLD" "$SECONDS" "${steps[*]}" "$PLAIN"
  fi
  rm -rf "$SKIPS" "$LOGS"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# in_turn STEP...
in_turn() {
  local step start before
  for step in "$@"; do
    failed=("$step")
    start=$SECONDS
    times >"$LOGS/before"
    before=$(processor_time "$LOGS/before")
    "ci/$step.sh"
    times >"$LOGS/after"
    ended "$step" $((SECONDS - start)) "$(awk "BEGIN { print $(processor_time "$LOGS/after") - $before }")"
  done
  failed=()
}

# begin STEP: in a process group of its own, its output, its times and then its status in files.
begin() {
  set -m
  {
    status=0
    "ci/$1.sh" >"$LOGS/$1" 2>&1 </dev/null || status=$?
    times >"$LOGS/$1.times"
    echo $status >"$LOGS/$1.status"
  } &
  set +m
  running[$1]=$! began[$1]=$SECONDS
}

# show STEP: what it printed, if it has ended.
show() {
  local status
  if kill -0 "${running[$1]}" 2>/dev/null; then return; fi
  wait "${running[$1]}" || true
  # None: it was killed.
  status=$(cat "$LOGS/$1.status" 2>/dev/null) || status=137
  unset "running[$1]"
  cat "$LOGS/$1"
  ended "$1" $((SECONDS - began[$1])) "$(processor_time "$LOGS/$1.times")"
  [ "$status" -eq 0 ] || { failed+=("$1"); say "$1: FAILED with status $status"; }
}

# beside STEP...: as many at a time as CHECK_JOBS says. When one has failed, those that run go on to
# their end, and no other begins.
beside() {
  local step told=$SECONDS
  while true; do
    while [ $# -gt 0 ] && [ ${#failed[@]} -eq 0 ] && [ ${#running[@]} -lt "$JOBS" ]; do
      begin "$1"
      shift
    done
    [ ${#running[@]} -gt 0 ] || break
    sleep 0.2
    for step in "${!running[@]}"; do show "$step"; done
    [ $((SECONDS - told)) -ge 60 ] || continue
    told=$SECONDS
    for step in "${!running[@]}"; do
      say "... $step has been running for $((SECONDS - began[$step])) s: $(tail -n 1 "$LOGS/$step" | cut -c 1-100)"
    done
  done
  [ ${#failed[@]} -eq 0 ]
}

JOBS=${CHECK_JOBS:-2}
[[ $JOBS =~ ^[1-9][0-9]*$ ]] || fail "CHECK_JOBS=$JOBS is not a number of steps"
if [ "${#steps[@]}" -eq 1 ] || [ "$JOBS" -eq 1 ]; then
  in_turn "${steps[@]}"
else
  # What the others use is there before they begin.
  if [ "${steps[0]}" = setup ]; then in_turn setup; fi
  # shellcheck disable=SC2046
  beside $(printf '%s\n' "${steps[@]}" | grep -vx setup)
fi
