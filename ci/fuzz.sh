#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# The inputs that the fuzzer and the hunter have found before, and a minute of new ones.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

# clippy MANIFEST FOLDER: in the profile that is built next.
clippy() {
  if ! "$CARGO" clippy --version >/dev/null 2>&1; then return; fi
  "$CARGO" clippy --locked --release --manifest-path "$1" --target-dir "$2" -- -D warnings
}

headline 'The fuzzer: the inputs of its corpus'
clippy fuzz/Cargo.toml "$TARGET/fuzz"
"$CARGO" run --locked --release --manifest-path fuzz/Cargo.toml --target-dir "$TARGET/fuzz" --bin replay -- \
  fuzz/corpus/model fuzz/corpus/threads
headline "The hunter: the inputs of its corpus, and new ones for ${HUNTER_SECONDS:-60} s"
clippy fuzz/hunter/Cargo.toml "$TARGET/hunter"
# A target folder of its own: the library's file in it has the same name whatever its profile is.
"$CARGO" build --locked --release --manifest-path fuzz/hunter/Cargo.toml --target-dir "$TARGET/hunter"
# shellcheck disable=SC2086
"$TARGET/hunter/release/hunter" replay ${HUNTER_FLAGS:-} fuzz/corpus/hunter
# Races in a short time window: run in a loop.
# shellcheck disable=SC2086
"$TARGET/hunter/release/hunter" replay --mode many --lasts 1 ${HUNTER_FLAGS:-} fuzz/corpus/hunter/init-sets-*
# shellcheck disable=SC2086
"$TARGET/hunter/release/hunter" search --seconds "${HUNTER_SECONDS:-60}" --corpus fuzz/corpus/hunter \
  --found "$TARGET/hunter/failures" ${HUNTER_FLAGS:-}
