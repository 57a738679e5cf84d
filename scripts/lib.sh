# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=bash
# What the scripts share. Sourced, from the root of the repository.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

CARGO=${CARGO:-cargo}
CC=${CC:-cc}
# shellcheck disable=SC2034
TARGET=${CARGO_TARGET_DIR:-target}
# As cargo marks the folder when it makes it itself: backups, and our own demo, leave it out.
mkdir -p "$TARGET"
[ -e "$TARGET/CACHEDIR.TAG" ] || echo 'Signature: 8a477f597d28d172789f06886806bc55' >"$TARGET/CACHEDIR.TAG"
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then BOLD=$'\033[1m' RED=$'\033[31m' YELLOW=$'\033[33m' PLAIN=$'\033[0m'
else BOLD='' RED='' YELLOW='' PLAIN=''; fi

# cargo_library [OPTION...]: the static library. Plain `cargo build` makes an rlib too, for the Rust tests, and
# then does not optimise it as a whole: it is larger, and cannot be linked beside another archive of the same
# Rust compiler's. The shared library is linked from it: scripts/link-shared.sh.
cargo_library() { "$CARGO" rustc --locked --lib --crate-type staticlib "$@"; }

# build_library: the static and the shared library, in $TARGET/release.
build_library() { build_library_in "$TARGET/release"; }

# build_library_in FOLDER [OPTION...]: the same; cargo, with the options, puts it into the folder.
build_library_in() {
  local folder=$1
  shift
  cargo_library --quiet --release "$@" || return
  scripts/link-shared.sh "$folder/libthreadlocalmap.a" "$folder"
}

# build_for_threads FOLDER: the library instrumented for ThreadSanitizer, with an unstable flag of rustc (so
# RUSTC_BOOTSTRAP): otherwise the sanitizer could not see the library's atomics, and whatever they order
# would look like a race. INSTRUMENTED is its path without .so or .a; FOLDER gets build.log and
# tsan_memory.o, to be linked with it. Steps that run beside each other share the build: cargo's lock lets
# them in one by one. False: this rustc does not instrument.
build_for_threads() {
  local triple
  triple=$(rustc -vV | sed -n 's/^host: //p')
  RUSTC_BOOTSTRAP=1 RUSTFLAGS='-Zsanitizer=thread -Zexternal-clangrt -Cunsafe-allow-abi-mismatch=sanitizer' \
    "$CARGO" rustc --locked --quiet --release --lib --crate-type cdylib,staticlib \
    --target "$triple" --target-dir "$TARGET/sanitizers/thread" >"$1/build.log" 2>&1 || return
  # shellcheck disable=SC2034
  INSTRUMENTED=$TARGET/sanitizers/thread/$triple/release/libthreadlocalmap
  "$CC" -O1 -fno-builtin -fsanitize=thread -c tests/sanitizers/tsan_memory.c -o "$1/tsan_memory.o"
}

headline() { printf '\n%s== %s%s\n' "$BOLD" "$*" "$PLAIN"; }
say() { printf '   %s\n' "$*"; }
fail() { printf '%s%s: %s%s\n' "$RED" "${0##*/}" "$*" "$PLAIN" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }
# Of C or of C++.
have_header() { printf '#if !__has_include(<%s>)\n#error\n#endif\n' "$1" | "$CC" -E - >/dev/null 2>&1; }
# Of Debian, and installed.
have_package() { dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed; }

# Every SKIPPED line ends up in the summary of `make check`.
SKIPS=${SKIPS:-}
skipped() {
  printf '   %sSKIPPED: %s%s\n' "$YELLOW" "$*" "$PLAIN"
  if [ -n "$SKIPS" ]; then printf '%s\n' "$*" >>"$SKIPS"; fi
}

# version_at_least 1.85.0 1.82
version_at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]; }

# The version that Cargo.toml gives the package.
package_version() { sed -n '/^\[package\]/,/^version/s/^version = "\(.*\)"/\1/p' Cargo.toml; }
