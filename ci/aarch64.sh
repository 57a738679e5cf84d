#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# Checks aarch64 on an x86-64 machine, as far as its tools allow, and says how far that was:
#   1. the header, as C11 and C++17, with the cross compiler; and that its inlined hit really reads
#      the thread register (tpidr_el0) and calls nothing;
#   2. the library, built for aarch64, and the C suite linked with it (shared and static), run by
#      qemu-user. That takes Rust's standard library for aarch64: from rustup when it has the
#      target, else from Debian's packages, unpacked below the target folder and nowhere else.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

TRIPLE=aarch64-unknown-linux-gnu
WORK=$TARGET/aarch64
CROSS=aarch64-linux-gnu
QEMU=(qemu-aarch64 -L "/usr/$CROSS")
WARNINGS=(-Wall -Wextra -Wpedantic -Werror)

[ "$(uname -m)" = x86_64 ] || { skipped "aarch64: cross checks are for x86-64 machines, this is $(uname -m)"; exit 0; }
have $CROSS-gcc || { skipped "aarch64: no $CROSS-gcc (Debian: gcc-aarch64-linux-gnu)"; exit 0; }
mkdir -p "$WORK"

check_header() {
  cat >"$WORK/hit.c" <<'C'
#include <threadlocalmap.h>
void *hit(tls_key_t key);
size_t stale(void);
void *hit(tls_key_t key) { return tls_get_existing(key); }
size_t stale(void) { return tls_stale_count(); }
C
  $CROSS-gcc -std=c11 -O2 "${WARNINGS[@]}" -Iinclude -S "$WORK/hit.c" -o "$WORK/hit.s"
  grep -q tpidr_el0 "$WORK/hit.s" ||
    fail "the header's inlined path for aarch64 does not read tpidr_el0: see $WORK/hit.s"
  say 'header as C11: compiles, and the inlined path reads tpidr_el0'
  if have $CROSS-g++; then
    $CROSS-g++ -x c++ -std=c++17 -O2 "${WARNINGS[@]}" -Iinclude -c "$WORK/hit.c" -o "$WORK/hit.o"
    say 'header as C++17: compiles'
  else
    skipped "aarch64: the header as C++ (no $CROSS-g++)"
  fi
}

# Sets RUSTC_FOR_TARGET, or fails.
find_rust() {
  local libdir
  libdir=$(rustc --print target-libdir --target $TRIPLE 2>/dev/null) || libdir=''
  if [ -n "$libdir" ] && compgen -G "$libdir/libstd-*.rlib" >/dev/null; then
    RUSTC_FOR_TARGET=rustc
    say 'Rust for aarch64: the target installed here'
    return
  fi
  RUSTC_FOR_TARGET=$(realpath -m "$WORK/rustc")
  if [ ! -x "$RUSTC_FOR_TARGET" ]; then
    have apt-get && have dpkg-deb || return 1
    fetch_rust "$(dirname "$RUSTC_FOR_TARGET")" || return 1
  fi
  say "Rust for aarch64: $("$RUSTC_FOR_TARGET" --version), unpacked below $WORK"
}

# Debian's rustc for this machine and its standard library for aarch64. They are only unpacked:
# nothing is installed, and apt's own lists and architectures stay as they are.
fetch_rust() {
  local root=$1 least compiler version list
  rm -rf "$root/apt" "$root/debs"
  mkdir -p "$root"/apt/{lists,cache}/partial "$root"/apt/cache/archives/partial "$root/debs"
  cat >"$root/apt/apt.conf" <<EOF
APT::Architecture "amd64";
APT::Architectures { "amd64"; "arm64"; };
APT::Sandbox::User "";
Dir::State::Lists "$root/apt/lists";
Dir::State::status "/dev/null";
Dir::Cache "$root/apt/cache";
EOF
  export APT_CONFIG=$root/apt/apt.conf
  # A source that has nothing for arm64 makes this fail; what counts is what is found below.
  apt-get update -qq >/dev/null 2>&1 || true
  least=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
  for compiler in rustc rustc-web; do
    list=libstd-rust${compiler#rustc}-dev
    version=$(candidate "$compiler")
    if [ "$version" != "$(candidate "$list:arm64")" ] || ! version_at_least "${version:-0}" "$least"; then
      continue
    fi
    say "fetching Debian's $compiler $version with its library for arm64 (about 150 MB, once)"
    (
      cd "$root/debs"
      # shellcheck disable=SC2046
      apt-get download -qq "$compiler=$version" "$list=$version" "$list:arm64=$version" \
        $(needed_libraries "$list")
    ) >"$root/apt/log" 2>&1 || { tail -n 3 "$root/apt/log"; return 1; }
    for package in "$root"/debs/*.deb; do dpkg-deb -x "$package" "$root"; done
    rm -rf "$root/debs" "$root/apt"
    cat >"$root/rustc.new" <<EOF
#!/bin/sh
LD_LIBRARY_PATH=$root/usr/lib/x86_64-linux-gnu exec "$root/usr/bin/rustc" --sysroot "$root/usr" "\$@"
EOF
    chmod +x "$root/rustc.new"
    "$root/rustc.new" --version >/dev/null && mv "$root/rustc.new" "$root/rustc"
    return
  done
  say "found no Debian package of Rust $least or newer with a standard library for arm64, or no network"
  return 1
}

candidate() { apt-cache policy "$1" 2>/dev/null | sed -n 's/^  Candidate: //p' | grep -v none || true; }

# The shared libraries that the compiler needs and this machine does not have.
needed_libraries() {
  apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks \
    --no-replaces --no-enhances "$1" | sed -n 's/^\(lib[^: ]*\)$/\1/p' | sort -u |
    while read -r library; do
      [ "$library" = "$1" ] && continue
      APT_CONFIG='' dpkg-query -W -f '${Status}' "$library" 2>/dev/null | grep -q ' installed' ||
        printf '%s\n' "$library"
    done
}

build_for_aarch64() {
  LIBRARY=$WORK/build/$TRIPLE/release
  RUSTC=$RUSTC_FOR_TARGET CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=$CROSS-gcc CC=$CROSS-gcc \
    build_library_in "$LIBRARY" --target $TRIPLE --target-dir "$WORK/build"
}

# run_program NAME SOURCE: linked with the shared and with the static library, and run: in turn one of
# them, with CHECK_DEEP both.
run_program() {
  local program="$WORK/$1" way
  # shellcheck disable=SC2034 # by their names, below
  local ways=(shared static) shared=(-L"$LIBRARY" -lthreadlocalmap) static=("$LIBRARY/libthreadlocalmap.a")
  [ -n "${CHECK_DEEP:-}" ] || ways=("${ways[ran % 2]}")
  $CROSS-gcc -std=c11 -O2 -D_GNU_SOURCE -Iinclude -Itests/c/support -c "$2" -o "$program.o"
  for way in "${ways[@]}"; do
    local -n library=$way
    $CROSS-gcc "$program.o" -o "$program-$way" "${library[@]}" -pthread -ldl
    if ! timeout 300 "${QEMU[@]}" -E LD_LIBRARY_PATH="$LIBRARY" "$program-$way" >"$program.log" 2>&1; then
      tail -n 20 "$program.log"
      fail "aarch64: $2, linked $way, failed under qemu-user"
    fi
  done
}

headline 'aarch64: the header'
check_header
headline 'aarch64: the library and the C suite under qemu-user'
have qemu-aarch64 || { skipped 'aarch64: running the C suite (no qemu-aarch64; Debian: qemu-user)'; exit 0; }
find_rust || { skipped "aarch64: running the C suite (no Rust standard library for $TRIPLE here)"; exit 0; }
build_for_aarch64
# qemu runs them some ten times slower than the machine.
if [ -n "${CHECK_DEEP:-}" ]; then scale=20; else scale=60; fi
export THREADLOCALMAP_TEST_SCALE=${THREADLOCALMAP_TEST_SCALE:-$scale}
ran=0
for source in tests/c/*/*.c examples/hello.c; do
  run_program "$(basename "$source" .c)" "$source"
  ran=$((ran + 1))
done
[ "$ran" -gt 1 ] || fail 'found no program of the C suite below tests/c'
say "$ran C programs, linked shared and static: all passed on aarch64 (qemu-user)"
