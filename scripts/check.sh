#!/usr/bin/env bash
# check.sh [STEP...]: the steps named, or all of them, in order; stops at the first that fails.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

ALL='setup format clippy docs rust plain_tls examples readme install plot demo soak valgrind aarch64 benches'

step_setup() { scripts/setup.sh; }

step_format() {
  headline 'Format'
  if ! "$CARGO" fmt --version >/dev/null 2>&1; then skipped 'format: cargo has no fmt (rustup component add rustfmt)'; return; fi
  "$CARGO" fmt --all --check
  "$CARGO" fmt --manifest-path tools/plot/Cargo.toml --check
  "$CARGO" fmt --manifest-path benches/Cargo.toml --check
  say 'as rustfmt has it'
}

step_clippy() {
  headline 'Clippy, every warning an error'
  if ! "$CARGO" clippy --version >/dev/null 2>&1; then skipped 'clippy: cargo has no clippy (rustup component add clippy)'; return; fi
  "$CARGO" clippy --locked --all-targets -- -D warnings
  "$CARGO" clippy --locked --all-targets --features global-dynamic -- -D warnings
}

step_docs() {
  headline 'Documentation, every warning an error'
  RUSTDOCFLAGS='-D warnings -A rustdoc::private_intra_doc_links' "$CARGO" doc --locked --no-deps --document-private-items
}

step_rust() {
  headline 'Tests: the Rust parts, and the C suite'
  "$CARGO" test --locked
}

step_plain_tls() {
  headline 'The C suite on plain thread-local storage (--features global-dynamic)'
  # With a runner, each program is compiled one way instead of three; env just runs it.
  THREADLOCALMAP_C_RUNNER=env THREADLOCALMAP_TEST_SCALE=${THREADLOCALMAP_TEST_SCALE:-10} \
    "$CARGO" test --locked --features global-dynamic --test c
}

step_valgrind() {
  headline 'The C suite under valgrind'
  if ! have valgrind; then skipped 'the C suite under valgrind (no valgrind)'; return; fi
  THREADLOCALMAP_C_RUNNER='valgrind --quiet --error-exitcode=99 --leak-check=full --show-leak-kinds=all --errors-for-leak-kinds=definite,possible' \
    "$CARGO" test --locked --test c
}

step_plot() {
  headline 'The plot of the demo: clippy and tests'
  if "$CARGO" clippy --version >/dev/null 2>&1; then
    "$CARGO" clippy --locked --manifest-path tools/plot/Cargo.toml --target-dir "$TARGET/plot" --all-targets -- -D warnings
  fi
  "$CARGO" test --locked --manifest-path tools/plot/Cargo.toml --target-dir "$TARGET/plot"
}

step_examples() {
  headline 'Examples: no warning as C11'
  local source
  for source in examples/*.c examples/pool/*.c; do
    "$CC" -std=c11 -O2 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror -Iinclude -fsyntax-only "$source"
    say "$source"
  done
}

step_readme() {
  headline 'README'
  scripts/check-readme.sh
}

step_install() {
  headline 'Installing'
  "$CARGO" build --locked --quiet --release --lib
  scripts/check-install.sh
}

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
  headline 'A soak of one minute'
  scripts/soak.sh 60
}

step_benches() {
  headline 'The benchmarks: clippy, and a quick run to see that they work'
  if "$CARGO" clippy --version >/dev/null 2>&1; then
    "$CARGO" clippy --locked --manifest-path benches/Cargo.toml --all-targets -- -D warnings
  fi
  # Its figures are not judged: nothing that is timed can fail here.
  "$CARGO" run --locked --release --manifest-path benches/Cargo.toml -- --quick
}

step_aarch64() { scripts/aarch64.sh; }

steps=("$@")
# shellcheck disable=SC2206
[ ${#steps[@]} -gt 0 ] || steps=($ALL)
for step in "${steps[@]}"; do
  declare -F "step_$step" >/dev/null || fail "no step $step; there are: $ALL"
done

SKIPS=$(mktemp)
export SKIPS
running=''
finish() {
  local status=$?
  if [ $status -ne 0 ]; then
    printf '\n%smake check: FAILED at the step %s after %s s. Again, alone: make check STEPS=%s%s\n' \
      "$RED" "$running" "$SECONDS" "$running" "$PLAIN"
  elif [ -s "$SKIPS" ]; then
    printf '\n%smake check: all that could run passed, in %s s. SKIPPED: %s%s\n' \
      "$YELLOW" "$SECONDS" "$(paste -sd ';' "$SKIPS" | sed 's/;/; /g')" "$PLAIN"
  else
    printf '\n%smake check: everything passed, nothing skipped, in %s s (%s)%s\n' \
      "$BOLD" "$SECONDS" "${steps[*]}" "$PLAIN"
  fi
  rm -f "$SKIPS"
}
trap finish EXIT
for running in "${steps[@]}"; do
  began=$SECONDS
  "step_$running"
  say "($running: $((SECONDS - began)) s)"
done
