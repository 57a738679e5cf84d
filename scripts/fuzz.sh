#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# fuzz.sh [TARGET...]: searches for inputs that fail, for FUZZ_SECONDS (60) in all, starting with the corpus.
# fuzz.sh --merge [TARGET...]: replaces the corpus by the fewest and smallest inputs, of those in it and
# those found since, that reach the same code as all of them together. Inputs with a name given by hand stay.
# The targets are the folders of fuzz/corpus. `hunter` is a separate program (fuzz/hunter): it is not guided
# by the code that an input reaches, and its corpus is maintained by hand. HUNTER_FLAGS: more flags for the
# hunter, such as --without, to leave out known faults.
#
# This uses LibFuzzer without cargo-fuzz; the flags below are those that cargo-fuzz would pass. They are for
# nightly compilers; with RUSTC_BOOTSTRAP the stable compiler accepts them. New inputs are written to the
# target folder only. FUZZ_FLAGS: more flags for LibFuzzer.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

# The largest number of files that a target may have in the corpus, and the largest size of a file.
MOST_FILES=150
LARGEST=768

merging=''
if [ "${1:-}" = --merge ]; then merging=yes; shift; fi
seconds=${FUZZ_SECONDS:-60}
[[ $seconds =~ ^[1-9][0-9]*$ ]] || fail "FUZZ_SECONDS=$seconds is not a number of seconds"
targets=("$@")
[ ${#targets[@]} -gt 0 ] || { targets=(model threads); [ -n "$merging" ] || targets+=(hunter); }
[ "$(uname -sm)" = 'Linux x86_64' ] || fail 'fuzzing needs Linux on x86-64'
have "${CXX:-c++}" || fail "LibFuzzer's run-time library needs a C++ compiler (on Debian: apt-get install g++)"
for target in "${targets[@]}"; do
  [ -d "fuzz/corpus/$target" ] || fail "unknown target $target; the targets are: $(cd fuzz/corpus && echo *)"
done

TRIPLE=x86_64-unknown-linux-gnu
work=$TARGET/fuzz
each=$((seconds / ${#targets[@]}))
[ "$each" -gt 0 ] || each=1

build_fuzzers() {
  local flags=(-Cpasses=sancov-module -Zsanitizer=address -Clink-dead-code -Ccodegen-units=1)
  local argument
  for argument in level=4 inline-8bit-counters pc-table trace-compares; do
    flags+=("-Cllvm-args=-sanitizer-coverage-$argument")
  done
  headline 'Building the fuzzers'
  # With --target, so that build scripts and macros are built without the flags.
  RUSTC_BOOTSTRAP=1 RUSTFLAGS="${flags[*]}" "$CARGO" build --locked --release --features libfuzzer \
    --bin fuzz_model --bin fuzz_threads \
    --manifest-path fuzz/Cargo.toml --target $TRIPLE --target-dir "$work"
}

# fuzzer TARGET [FLAG...]: runs LibFuzzer with the flags that searching and merging need. It does not detect
# leaks, because each input compares the number of bytes that the library has allocated, and threads of the
# fuzzer have memory at its end.
fuzzer() {
  local target=$1
  shift
  # shellcheck disable=SC2086
  ASAN_OPTIONS=detect_leaks=0 "$work/$TRIPLE/release/fuzz_$target" -max_len=$LARGEST -timeout=30 "$@" ${FUZZ_FLAGS:-}
}

# hunt: runs new random programs, with debug assertions; then the same under AddressSanitizer. (Stacks are not
# instrumented, because a thread that ends inside a callback leaves the marks of its frames.)
hunt() {
  local status=0 failures=$work/failures/hunter part=$((each / 2))
  [ "$part" -gt 0 ] || part=1
  headline "Hunting for $each s"
  "$CARGO" build --locked --quiet --release --manifest-path fuzz/hunter/Cargo.toml --target-dir "$work/hunter"
  # shellcheck disable=SC2086
  "$work/hunter/release/hunter" search --seconds "$part" --corpus fuzz/corpus/hunter --found "$failures" \
    ${HUNTER_FLAGS:-} || status=$?
  [ "$status" -eq 0 ] || fail "the hunter failed, see above; its inputs are in $failures"
  RUSTC_BOOTSTRAP=1 RUSTFLAGS='-Zsanitizer=address -Cllvm-args=-asan-stack=0' "$CARGO" build --locked --quiet --release --features asan \
    --manifest-path fuzz/hunter/Cargo.toml --target $TRIPLE --target-dir "$work/hunter"
  # shellcheck disable=SC2086
  ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0 "$work/hunter/$TRIPLE/release/hunter" search --seconds "$part" \
    --corpus fuzz/corpus/hunter --found "$failures" ${HUNTER_FLAGS:-} || status=$?
  [ "$status" -eq 0 ] || fail "the hunter failed under AddressSanitizer, see above; its inputs are in $failures"
}

search() {
  local target=$1 found=$work/found/$1 failures=$work/failures/$1
  mkdir -p "$found" "$failures"
  headline "Fuzzing $target for $each s"
  say 'The lines below are LibFuzzer'\''s. #: inputs that have run; cov: code locations reached; exec/s: inputs per second.'
  if ! fuzzer "$target" -max_total_time="$each" -len_control=20 -print_funcs=0 -artifact_prefix="$failures/" \
    "$found" "fuzz/corpus/$target"; then
    fail "$target failed, see above. To run the input again without the fuzzer: cargo run --release --manifest-path fuzz/Cargo.toml --bin replay -- $failures"
  fi
}

merge() {
  local target=$1 merged=$work/merged/$1
  rm -rf "$merged"
  mkdir -p "$merged" "$work/found/$target"
  headline "Merging the inputs found for $target"
  # Which locations are reached counts, and not how often; this keeps the corpus small.
  fuzzer "$target" -set_cover_merge=1 -use_counters=0 "$merged" "fuzz/corpus/$target" "$work/found/$target"
  [ "$(find "$merged" -type f | wc -l)" -le $MOST_FILES ] ||
    fail "the corpus has more than $MOST_FILES files: raise MOST_FILES only if make check stays fast"
  # LibFuzzer names a file after its SHA-1.
  find "fuzz/corpus/$target" -type f -regextype posix-extended -regex '.*/[0-9a-f]{40}' -delete
  cp "$merged"/* "fuzz/corpus/$target/"
  say "$(find "$merged" -type f | wc -l) inputs, $(cat "$merged"/* | wc -c) bytes"
}

if [ "${targets[*]}" != hunter ]; then build_fuzzers; fi
for target in "${targets[@]}"; do
  if [ "$target" = hunter ]; then
    [ -z "$merging" ] || fail 'the corpus of the hunter is maintained by hand and can not be merged'
    hunt
  elif [ -n "$merging" ]; then merge "$target"; else search "$target"; fi
done
if [ -z "$merging" ]; then printf '\n%sNo failure in %s s%s\n' "$BOLD" "$seconds" "$PLAIN"; fi
