#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# fuzz.sh [TARGET...]: searches for inputs that fail, FUZZ_SECONDS (60) in all, from the corpus on.
# fuzz.sh --merge [TARGET...]: makes the corpus anew: the fewest and smallest inputs, of those in it
# and those found since, that reach all that these reach together. Inputs that somebody has given a
# name stay.
# The targets are the folders of fuzz/corpus. `hunter` is a program of its own (fuzz/hunter), which
# is not guided by what an input reaches, and whose corpus is kept by hand. HUNTER_FLAGS: more flags
# of the hunter's, such as --without of faults that are known.
#
# LibFuzzer without cargo-fuzz: the flags below are what that would pass. They are for nightly
# compilers; RUSTC_BOOTSTRAP has the stable one take them. Inputs that are found go to the target
# folder, and nowhere else. FUZZ_FLAGS: more flags of LibFuzzer's.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

# Files and bytes that a target may have in the corpus. Larger inputs, which reach more, are for
# the target folder.
MOST_FILES=150
LARGEST=768

merging=''
if [ "${1:-}" = --merge ]; then merging=yes; shift; fi
seconds=${FUZZ_SECONDS:-60}
[[ $seconds =~ ^[1-9][0-9]*$ ]] || fail "FUZZ_SECONDS=$seconds is not a number of seconds"
targets=("$@")
[ ${#targets[@]} -gt 0 ] || { targets=(model threads); [ -n "$merging" ] || targets+=(hunter); }
[ "$(uname -sm)" = 'Linux x86_64' ] || fail 'fuzzing is set up for Linux on x86-64'
have "${CXX:-c++}" || fail "LibFuzzer's run-time library needs a C++ compiler (on Debian: apt-get install g++)"
for target in "${targets[@]}"; do
  [ -d "fuzz/corpus/$target" ] || fail "no target $target; there are: $(cd fuzz/corpus && echo *)"
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

# fuzzer TARGET [FLAG...]: LibFuzzer, with what both ways need. Memory that is not given back is a
# failure of the input itself, which compares the library's bytes; what threads of the fuzzer have
# at its end is not.
fuzzer() {
  local target=$1
  shift
  # shellcheck disable=SC2086
  ASAN_OPTIONS=detect_leaks=0 "$work/$TRIPLE/release/fuzz_$target" -max_len=$LARGEST -timeout=30 "$@" ${FUZZ_FLAGS:-}
}

# hunt: fresh seeds, with what debug builds assert; then the same under AddressSanitizer. (Without marks
# on stacks: a thread that ends inside a callback leaves those of its frames behind.)
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
  say 'The lines are LibFuzzer'\''s: #inputs played, cov: places reached, exec/s: inputs a second.'
  if ! fuzzer "$target" -max_total_time="$each" -len_control=20 -print_funcs=0 -artifact_prefix="$failures/" \
    "$found" "fuzz/corpus/$target"; then
    fail "$target failed, see above. Again, in words and without the fuzzer: cargo run --release --manifest-path fuzz/Cargo.toml --bin replay -- $failures"
  fi
}

merge() {
  local target=$1 merged=$work/merged/$1
  rm -rf "$merged"
  mkdir -p "$merged" "$work/found/$target"
  headline "Merging what was found for $target"
  # Counting which places are reached, not how often, keeps it small.
  fuzzer "$target" -set_cover_merge=1 -use_counters=0 "$merged" "fuzz/corpus/$target" "$work/found/$target"
  [ "$(find "$merged" -type f | wc -l)" -le $MOST_FILES ] ||
    fail "more than $MOST_FILES files: raise MOST_FILES only if make check stays quick"
  # LibFuzzer names a file after its SHA-1.
  find "fuzz/corpus/$target" -type f -regextype posix-extended -regex '.*/[0-9a-f]{40}' -delete
  cp "$merged"/* "fuzz/corpus/$target/"
  say "$(find "$merged" -type f | wc -l) inputs, $(cat "$merged"/* | wc -c) bytes"
}

if [ "${targets[*]}" != hunter ]; then build_fuzzers; fi
for target in "${targets[@]}"; do
  if [ "$target" = hunter ]; then
    [ -z "$merging" ] || fail 'the corpus of the hunter is kept by hand'
    hunt
  elif [ -n "$merging" ]; then merge "$target"; else search "$target"; fi
done
if [ -z "$merging" ]; then printf '\n%sNo failure in %s s%s\n' "$BOLD" "$seconds" "$PLAIN"; fi
