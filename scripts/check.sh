#!/usr/bin/env bash
# check.sh [STEP...]: the steps named, or all of them; stops when one has failed. Two at a time, begun in
# order, because most of them have phases that keep one core busy only. What a step prints is shown when
# it has ended; until then, a line each minute says how far it is. One step alone, or all with
# CHECK_JOBS=1: one after the other, and their output as it comes.
# Steps that run beside each other write no file in common; cargo's locks keep its own apart.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

# What fails soonest, then what takes longest, so that the end is short.
ALL='setup format docs clippy instructions valgrind schedules rust aarch64 cpp benches fuzz sanitizers soak plain_tls pools helgrind plot examples things python install abi packaging demo'
# Of these steps there is more than a check has time for: CHECK_DEEP=1 (make check-deep) runs all of it.
DEEP=${CHECK_DEEP:-}

step_setup() { scripts/setup.sh; }

step_format() {
  headline 'Format'
  if ! "$CARGO" fmt --version >/dev/null 2>&1; then skipped 'format: cargo has no fmt (rustup component add rustfmt)'; return; fi
  "$CARGO" fmt --all --check
  "$CARGO" fmt --manifest-path tools/plot/Cargo.toml --check
  "$CARGO" fmt --manifest-path benches/Cargo.toml --check
  "$CARGO" fmt --manifest-path tests/schedules/Cargo.toml --check
  "$CARGO" fmt --manifest-path fuzz/Cargo.toml --check
  "$CARGO" fmt --manifest-path fuzz/hunter/Cargo.toml --check
  say 'as rustfmt has it'
}

step_clippy() {
  headline 'Clippy, every warning an error'
  if ! "$CARGO" clippy --version >/dev/null 2>&1; then skipped 'clippy: cargo has no clippy (rustup component add clippy)'; return; fi
  "$CARGO" clippy --locked -- -D warnings
  "$CARGO" clippy --locked --all-targets -- -D warnings
  "$CARGO" clippy --locked --all-targets --features global-dynamic -- -D warnings
  RUSTFLAGS='--cfg modelled' "$CARGO" clippy --locked --manifest-path tests/schedules/Cargo.toml \
    --target-dir "$TARGET/schedules" --all-targets -- -D warnings
}

step_docs() {
  headline 'Documentation, every warning an error'
  RUSTDOCFLAGS='-D warnings -A rustdoc::private_intra_doc_links' "$CARGO" doc --locked --no-deps --document-private-items
}

step_rust() {
  headline 'Tests: the Rust parts, and the C suite'
  # Each C program as C11, C17 and C++17, in turn with the shared and the static library. Deep: each with both.
  [ -n "$DEEP" ] || local -x THREADLOCALMAP_C_LINKAGE=alternate
  "$CARGO" test --locked
}

step_fuzz() {
  headline 'The corpus of the fuzzer, played again'
  if "$CARGO" clippy --version >/dev/null 2>&1; then
    "$CARGO" clippy --locked --release --manifest-path fuzz/Cargo.toml --target-dir "$TARGET/fuzz" -- -D warnings
  fi
  "$CARGO" run --locked --release --manifest-path fuzz/Cargo.toml --target-dir "$TARGET/fuzz" --bin replay -- \
    fuzz/corpus/model fuzz/corpus/threads
  headline 'The hunter: its corpus again, and a minute of fresh seeds'
  if "$CARGO" clippy --version >/dev/null 2>&1; then
    "$CARGO" clippy --locked --release --manifest-path fuzz/hunter/Cargo.toml --target-dir "$TARGET/hunter" -- -D warnings
  fi
  # A target folder of its own: the library's file in it has the same name whatever its profile is.
  "$CARGO" build --locked --release --manifest-path fuzz/hunter/Cargo.toml --target-dir "$TARGET/hunter"
  # shellcheck disable=SC2086
  "$TARGET/hunter/release/hunter" replay ${HUNTER_FLAGS:-} fuzz/corpus/hunter
  # Narrow races: played in a loop.
  # shellcheck disable=SC2086
  "$TARGET/hunter/release/hunter" replay --mode many --lasts 1 ${HUNTER_FLAGS:-} fuzz/corpus/hunter/init-sets-*
  # shellcheck disable=SC2086
  "$TARGET/hunter/release/hunter" search --seconds "${HUNTER_SECONDS:-60}" --corpus fuzz/corpus/hunter \
    --found "$TARGET/hunter/failures" ${HUNTER_FLAGS:-}
}

step_schedules() {
  headline 'The protocol between threads: every schedule of a few steps, random ones of many'
  # A build of its own: there the model checker stands behind every shared word.
  # Not deep: the largest scenarios have one preemption fewer. What is weakened must be found all the same.
  RUSTFLAGS='--cfg modelled' THREADLOCALMAP_DEEP=$DEEP "$CARGO" test --locked --manifest-path tests/schedules/Cargo.toml \
    --target-dir "$TARGET/schedules"
}

step_plain_tls() {
  headline 'The C suite on plain thread-local storage (--features global-dynamic)'
  # With a runner, each program is compiled one way instead of three; env just runs it.
  # Nothing slows them down: all variants.
  [ -n "$DEEP" ] || local -x THREADLOCALMAP_C_LINKAGE=alternate
  THREADLOCALMAP_DEEP=1 THREADLOCALMAP_C_RUNNER=env THREADLOCALMAP_TEST_SCALE=${THREADLOCALMAP_TEST_SCALE:-10} \
    "$CARGO" test --locked --features global-dynamic --test c
}

step_valgrind() {
  headline 'The C suite under valgrind'
  if ! have valgrind; then skipped 'the C suite under valgrind (no valgrind)'; return; fi
  # Every program; each linked one way, half of them with the shared library, and of hundreds of variants
  # every 11th. Deep: both ways, and all of them.
  [ -n "$DEEP" ] || local -x THREADLOCALMAP_C_LINKAGE=alternate
  THREADLOCALMAP_DEEP=$DEEP \
    THREADLOCALMAP_C_RUNNER='valgrind --quiet --error-exitcode=99 --leak-check=full --show-leak-kinds=all --errors-for-leak-kinds=definite,possible' \
    "$CARGO" test --locked --test c
}

step_instructions() {
  headline 'The instructions of our own paths, beside the committed numbers'
  if ! have valgrind; then skipped 'the instructions of our paths (no valgrind)'; return; fi
  scripts/instructions.sh
}

step_plot() {
  headline 'The plot of the demo: clippy and tests'
  if "$CARGO" clippy --version >/dev/null 2>&1; then
    "$CARGO" clippy --locked --manifest-path tools/plot/Cargo.toml --target-dir "$TARGET/plot" --all-targets -- -D warnings
  fi
  "$CARGO" test --locked --manifest-path tools/plot/Cargo.toml --target-dir "$TARGET/plot"
}

step_examples() {
  headline 'Examples: no warning as C11, and they do what they say'
  local source
  for source in examples/*.c examples/pool/*.c examples/things/*.c; do
    "$CC" -std=c11 -O2 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror -Iinclude -fsyntax-only "$source"
    say "$source"
  done
  "${CXX:-c++}" -std=c++17 -O2 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror -Ibindings/cpp/include -Iinclude \
    -fsyntax-only examples/hello.cpp
  build_library
  # examples/hello.c and examples/guide are run by tests/documents.rs; examples/pool by the demo.
  run_example counters '^while they count: ' '^when they have ended: 0 living counters, 4000000 requests in the total$'
  run_example idle_workers '^the worker on a condition variable frees its buffer: the document has died$' \
    '^the worker on an eventfd frees its buffer: the document has died$' '^the document has died, and 0 buffers are left$'
  run_example fibers '^a key has died: 6 values are stale, ' '^fiber 5: 8 steps, .* expunged 1$' \
    '^values made 12, destroyed 12, found in the wrong place 0; left: 0 values, 0 maps$'
  # Its report as a whole: tests/dump.rs.
  run_example leak_report '"name":"session 2","live":true'
}

# run_example NAME LINE...: links it, runs it, and looks for each of the lines (patterns of grep).
run_example() {
  local name=$1 output line
  shift
  mkdir -p "$TARGET/examples"
  "$CC" -std=c11 -O2 -Iinclude "examples/$name.c" "$TARGET/release/libthreadlocalmap.a" -pthread \
    -o "$TARGET/examples/$name"
  output=$(timeout 60 "$TARGET/examples/$name") || fail "examples/$name.c ended with status $?"
  for line in "$@"; do
    grep -q "$line" <<<"$output" || fail "examples/$name.c did not print $line, but: $output"
  done
  say "examples/$name.c: prints what it should"
}

step_sanitizers() { scripts/sanitizers.sh; }

step_helgrind() {
  headline 'Locks and races: the part of the C suite that shares by locks, under helgrind'
  if ! have valgrind; then skipped 'helgrind (no valgrind)'; return; fi
  # Nothing is suppressed. Helgrind takes atomic operations for plain ones. A key's holders are linked by
  # one without a lock, so programs whose threads set or end values of one key at the same time (threads.c,
  # enumerate_many.c, races.c, exit_races.c, ...) are the step sanitizers' instead: it sees the library's
  # atomics too. So is only_locks.c, which finds a lock that is not taken: how many look at a value is an
  # atomic word.
  [ -n "$DEEP" ] || local -x THREADLOCALMAP_C_LINKAGE=alternate
  THREADLOCALMAP_C_RUNNER='valgrind --tool=helgrind --quiet --error-exitcode=99' \
    THREADLOCALMAP_TEST_SCALE=${THREADLOCALMAP_TEST_SCALE:-500} \
    "$CARGO" test --locked --test c -- --exact abandoned_callbacks abandoned_visits contexts enumerate exit_rounds \
    expunge moving_maps reclaim_any scope_deaths stats tasks thread_exit
}

step_things() {
  headline 'Examples with other libraries: no warning as C11, nothing leaks, each thread destroys its own'
  check_thing sqlite sqlite3.h libsqlite3-dev
  check_thing zstd zdict.h libzstd-dev
  check_thing openssl openssl/evp.h libssl-dev
}

# check_thing NAME HEADER PACKAGE
check_thing() {
  local source
  have_header "$2" || { skipped "examples/$1 (no $2: $3)"; return 0; }
  for source in "examples/$1"/*.c; do
    "$CC" -std=c11 -O2 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror -Iinclude -fsyntax-only "$source"
  done
  # Not in the folder that the step demo uses.
  make --no-print-directory "demo-$1" DEMO="$TARGET/things"
}

step_pools() {
  headline 'Thread pools of others: values end with their task or object, on their thread'
  local skips=()
  pool_needs glib glib-2.0/glib.h libglib2.0-dev
  pool_needs libuv uv.h libuv1-dev
  pool_needs tbb tbb/task_arena.h libtbb-dev
  pool_needs boost_asio boost/asio.hpp libboost-dev
  pool_needs asio asio.hpp libasio-dev
  pool_needs coroutines asio.hpp libasio-dev
  pool_needs futures thread_pool/thread_pool.hpp libthread-pool-dev
  if have node; then pool_needs node_addons node/node_api.h libnode-dev
  else pool_needs node_addons node nodejs; fi
  "$CARGO" test --locked --test pools -- ${skips[@]+"${skips[@]}"}
}

# pool_needs TEST HEADER PACKAGE
pool_needs() {
  have_header "$2" && return
  skipped "the pool test $1 (no $2: $3)"
  skips+=(--skip "$1" --exact)
}

step_python() {
  headline 'Python: objects end on their thread, with their task, key or pool; on the oldest and the newest CPython'
  [ -z "$DEEP" ] || say 'Deep: on every CPython found'
  have python3 || { skipped 'the Python module (no python3)'; return 0; }
  scripts/python.sh
}

step_cpp() {
  headline 'The C++ header: its tests with two compilers and the sanitizers, and the code of a get'
  scripts/check-cpp.sh
}

step_install() {
  headline 'Installing: with make, CMake, Meson and cargo-c, and using what is installed'
  "$CARGO" test --locked --test install
}

step_abi() {
  headline 'The binary interface, beside that of the release'
  scripts/abi.sh
}

step_packaging() { ci/packaging.sh; }

step_demo() {
  headline 'The demo program, once over the examples'
  local with status
  make --no-print-directory pool
  # This library must count right and leak nothing; the others may leak, but not fail.
  "$TARGET/demo/pool" --with tls --threads 8 --repeat 20 --chunk 1 examples
  for with in '--with pthread' '--with pthread --keep-keys' '--with thread_local'; do
    status=0
    # shellcheck disable=SC2086
    "$TARGET/demo/pool" $with --threads 8 --repeat 20 --chunk 1 examples >/dev/null 2>&1 || status=$?
    [ $status -eq 0 ] || [ $status -eq 3 ] || fail "pool $with ended with status $status"
  done
}

step_soak() {
  headline 'A soak of a minute and a half'
  # A minute's work, with another step beside it.
  scripts/soak.sh 90
}

step_benches() {
  headline 'The benchmarks: clippy, and a quick run to see that they work'
  if "$CARGO" clippy --version >/dev/null 2>&1; then
    "$CARGO" clippy --locked --manifest-path benches/Cargo.toml --all-targets -- -D warnings
  fi
  # Its figures are not judged: nothing that is timed can fail here.
  "$CARGO" run --locked --release --manifest-path benches/Cargo.toml -- --quick
}

step_aarch64() { CHECK_DEEP=$DEEP scripts/aarch64.sh; }

steps=("$@")
# shellcheck disable=SC2206
[ ${#steps[@]} -gt 0 ] || steps=($ALL)
for step in "${steps[@]}"; do
  declare -F "step_$step" >/dev/null || fail "no step $step; there are: $ALL"
done

# A step that this script has begun beside others: that one has the last word.
if [ -n "${CHECK_BESIDE:-}" ]; then
  "step_${steps[0]}"
  exit
fi

SKIPS=$(mktemp)
LOGS=$(mktemp -d)
export SKIPS
failed=()
# The steps that are running beside each other, with the processes that lead them.
declare -A running=() began=()

finish() {
  local status=$? step names
  # Interrupted: what still runs must not go on alone.
  for step in "${!running[@]}"; do kill -- "-${running[$step]}" 2>/dev/null || true; done
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
  local step start
  for step in "$@"; do
    failed=("$step")
    start=$SECONDS
    "step_$step"
    say "($step: $((SECONDS - start)) s)"
  done
  failed=()
}

# begin STEP: in a process group of its own, its output and then its status in files.
begin() {
  set -m
  { status=0; CHECK_BESIDE=yes "$0" "$1" >"$LOGS/$1" 2>&1 </dev/null || status=$?; echo $status >"$LOGS/$1.status"; } &
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
  say "($1: $((SECONDS - began[$1])) s)"
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
  beside $(printf '%s\n' "${steps[@]}" | grep -vx setup)
fi
