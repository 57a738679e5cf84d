#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# Installs the tools that `make check` uses in addition to cargo, a C and C++ compiler and make: on Debian and
# systems derived from it, as root or if sudo asks for no password. Otherwise it prints what is missing. None of
# these tools is needed to build or use the library. If a tool is missing, only its own checks are skipped.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

# command, Debian package, checks that are skipped without it
TOOLS='
valgrind                valgrind                the C suite under valgrind
pkg-config              pkg-config              the check of the pkg-config file
aarch64-linux-gnu-gcc   gcc-aarch64-linux-gnu   the aarch64 checks
aarch64-linux-gnu-g++   g++-aarch64-linux-gnu   the aarch64 checks in C++
qemu-aarch64            qemu-user               running on aarch64
cmake                   cmake                   the install tests with CMake, and the packages of Conan and vcpkg
meson                   meson                   the install tests with Meson
ninja                   ninja-build             the install tests with Ninja and Meson
cargo-cinstall          cargo-c                 the install test with cargo-c
clang++                 clang                   the C++ tests with clang
abidiff                 abigail-tools           the comparison with the ABI of the release
node                    nodejs                  the test of add-ons in workers of Node
mandoc                  mandoc                  the check of the man pages
doxygen                 doxygen                 the HTML site
bindgen                 bindgen                 the check of the header by bindgen
dpkg-buildpackage       dpkg-dev                the Debian packages
dh                      debhelper               the Debian packages
dh_python3              dh-python               the Debian packages
lintian                 lintian                 the check of the Debian packages by lintian
'
# header, Debian package, checks that are skipped without it
LIBRARIES='
catch2/catch.hpp        catch2                  the C++ tests
sqlite3.h               libsqlite3-dev          the example with SQLite
zdict.h                 libzstd-dev             the example with zstd
openssl/evp.h           libssl-dev              the example with OpenSSL
glib-2.0/glib.h         libglib2.0-dev          the test on thread pools of GLib
uv.h                    libuv1-dev              the test on the thread pool of libuv
tbb/task_arena.h        libtbb-dev              the test on oneTBB
boost/asio.hpp          libboost-dev            the test on the thread pool of Boost.Asio
asio.hpp                libasio-dev             the test on the thread pool of Asio
thread_pool/thread_pool.hpp libthread-pool-dev  the test on a pool of C++ futures
node/node_api.h         libnode-dev             the test of add-ons in workers of Node
'
# Debian packages without a command, and checks that are skipped without them
MODULES='
python3-hatchling           the Debian packages
pybuild-plugin-pyproject    the Debian packages
'

for needed in "$CARGO" "$CC" "${CXX:-c++}" make; do
  have "$needed" || fail "$needed was not found: install cargo, a C and C++ compiler and make (Debian: apt-get install build-essential; cargo 1.82 or newer from https://rustup.rs)"
done

missing() {
  while read -r command package what; do
    if [ -n "$command" ] && ! have "$command"; then printf '%s\t%s\t%s\n' "$command" "$package" "$what"; fi
  done <<<"$TOOLS"
  while read -r header package what; do
    if [ -n "$header" ] && ! have_header "$header"; then printf '%s\t%s\t%s\n' "$header" "$package" "$what"; fi
  done <<<"$LIBRARIES"
  while read -r package what; do
    if [ -n "$package" ] && ! have_package "$package"; then printf '%s\t%s\t%s\n' "$package" "$package" "$what"; fi
  done <<<"$MODULES"
  if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    printf '%s\t%s\t%s\n' 'venv of python3' python3-venv 'the tests of the Python module'
  fi
}

mapfile -t packages < <(missing | cut -f 2)
[ ${#packages[@]} -gt 0 ] || exit 0

as_root=''
if [ "$(id -u)" -ne 0 ]; then
  as_root='sudo -n'
  have sudo && sudo -n true 2>/dev/null || as_root='none'
fi
if have apt-get && [ "$as_root" != none ]; then
  headline "Installing ${packages[*]}"
  install() {
    [ $# -gt 0 ] || set -- "${packages[@]}" libc6-dev-arm64-cross
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" \
      >"$log" 2>&1
  }
  one_by_one() {
    local package
    for package in "${packages[@]}" libc6-dev-arm64-cross; do
      install "$package" || say "apt-get can not install $package; continuing without it"
    done
  }
  log=$(mktemp)
  # The list of packages may be missing or too old: update it if the installation fails.
  if ! install; then
    $as_root apt-get update -qq >>"$log" 2>&1 || true
    # If one package does not exist or has a conflict, install the others one by one.
    install || one_by_one
  fi
  rm -f "$log"
else
  headline 'Tools for some checks are missing'
  say "To install them, as root: apt-get install ${packages[*]}"
fi
while IFS=$'\t' read -r command package what; do
  if [ -n "$command" ]; then say "no $command ($package): without it, $what will be skipped"; fi
done <<<"$(missing)"
