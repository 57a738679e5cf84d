#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# packaging.sh [PART...]: tests the packages of distributions and package managers, as their users build them.
#
#   bindgen   the header, read by bindgen: every constant, function and structure
#   debian    packages by dpkg-buildpackage, lintian, and a temporary root that they are installed in
#   conan     conan create, with the shared and with the static library
#   vcpkg     the port, run without vcpkg, and a program that finds what it installs
#
# If a tool is missing, its part is skipped, and the message names the package that has the tool.
# packaging/README.md says what each part does not test.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

WORK=$(realpath -m "$TARGET/packaging")
mkdir -p "$WORK"
CARGO=$(command -v "$CARGO") || fail 'cargo was not found: see https://rustup.rs'
VERSION=$(sed -n '/^\[package\]/,/^version/s/^version = "\(.*\)"/\1/p' Cargo.toml)
export CARGO

# to_log NAME COMMAND...: what it prints goes to a file, and is shown when it fails.
to_log() {
  local log=$WORK/$1.log
  shift
  "$@" >"$log" 2>&1 || { tail -n 30 "$log"; fail "$1 failed; the full log is $log"; }
}

part_bindgen() {
  headline 'bindgen: each constant, function and structure of the header'
  local tool=${BINDGEN:-bindgen}
  if ! have "$tool"; then skipped 'bindgen on the header (no bindgen: bindgen)'; return; fi
  say "$("$tool" --version)"
  echo 'int number;' >"$WORK/bindgen.h"
  "$tool" "$WORK/bindgen.h" >"$WORK/bindgen.log" 2>&1 || { skipped 'bindgen on the header (bindgen finds no libclang: clang)'; return; }
  "$CARGO" test --locked --quiet --test bindgen
}

# ---- Debian -----------------------------------------------------------------------

# Only Debian's Python finds the tools that build the module.
DEBIAN_PATH=/usr/sbin:/usr/bin:/sbin:/bin:$(dirname "$CARGO")

# The packages that have what is missing.
debian_missing() {
  local command package
  while read -r command package; do
    have "$command" || printf '%s ' "$package"
  done <<<$'dpkg-buildpackage dpkg-dev\ndh debhelper\ndh_python3 dh-python\ngit git'
  for package in python3-hatchling pybuild-plugin-pyproject; do
    have_package "$package" || printf '%s ' "$package"
  done
}

# build_debian OPTION...: -d, because cargo is the user's, not the one of the package.
build_debian() {
  (cd "$FOLDER/threadlocalmap-$VERSION" &&
    PATH=$DEBIAN_PATH CARGO_TARGET_DIR=$WORK/cargo dpkg-buildpackage -d -uc -us "$@")
}

# The most likely failure has a message of its own.
explain_debian_failure() {
  local log=$WORK/debian-build.log
  tail -n 40 "$log"
  if grep -q '^dpkg-gensymbols: \(error\|warning\): some .*symbols' "$log"; then
    fail 'the exported symbols differ from packaging/debian/libthreadlocalmap0.symbols: see the lines above with + (only in the library) and - (only in the list)'
  fi
  fail "dpkg-buildpackage failed; the full log is $log"
}

check_lintian() {
  local problems packages=("$FOLDER"/threadlocalmap_*_"$(dpkg --print-architecture)".changes)
  if ! have lintian; then skipped 'lintian on the Debian packages (no lintian: lintian)'; return; fi
  # Deep: the source package, too, which has the crates in it.
  [ -z "${CHECK_DEEP:-}" ] || packages=("$FOLDER"/*.changes)
  problems=$(lintian --fail-on error,warning --display-level '>=warning' "${packages[@]}" 2>&1) ||
    { printf '%s\n' "$problems"; fail 'lintian reports errors or warnings'; }
  say "lintian: no errors and no warnings; overrides: $(cat packaging/debian/*.lintian-overrides | grep -v '^#' | cut -d ' ' -f 2 | sort -u | paste -sd ' ')"
}

try_in_root() {
  local why=''
  [ "$(id -u)" -eq 0 ] || why='only root can make a temporary root'
  have unshare || why='no unshare: util-linux'
  have pkg-config || why='no pkg-config: pkg-config'
  [ -n "$why" ] || unshare --mount true 2>/dev/null || why='mounting is not permitted here'
  [ -n "$why" ] || grep -qw overlay /proc/filesystems || modprobe overlay 2>/dev/null || why='this kernel has no overlayfs'
  if [ -n "$why" ]; then skipped "installing the Debian packages ($why)"; return; fi
  packaging/debian_root.sh "$FOLDER" "$FOLDER/threadlocalmap-$VERSION"
}

part_debian() {
  headline 'Debian: the packages, lintian, and installation in a temporary root'
  local missing package
  missing=$(debian_missing)
  if [ -n "$missing" ]; then skipped "the Debian packages (not installed: ${missing% })"; return; fi
  FOLDER=$WORK/debian
  rm -rf "$FOLDER"
  to_log debian-tree packaging/debian.sh "$FOLDER"
  to_log debian-source build_debian -S
  build_debian -b >"$WORK/debian-build.log" 2>&1 || explain_debian_failure
  for package in libthreadlocalmap0 libthreadlocalmap-dev python3-threadlocalmap; do
    compgen -G "$FOLDER/${package}_$VERSION-*.deb" >/dev/null || fail "the package $package was not built"
  done
  say "dpkg-buildpackage: $(basename -a "$FOLDER"/*.dsc "$FOLDER"/*.deb | paste -sd ' ')"
  check_lintian
  try_in_root
}

# ---- Conan ------------------------------------------------------------------------

part_conan() {
  headline 'Conan 2: the recipe, with the shared and with the static library'
  local here=$WORK/conan shared
  have cmake || { skipped 'the recipe of Conan (no cmake: cmake)'; return; }
  have python3 || { skipped 'the recipe of Conan (no python3: python3)'; return; }
  if [ ! -x "$here/bin/conan" ]; then
    python3 -m venv --clear "$here" >"$WORK/conan.log" 2>&1 ||
      { skipped 'the recipe of Conan (no venv of python3: python3-venv)'; return; }
    "$here/bin/pip" install -q -r packaging/conan/requirements.txt >"$WORK/conan.log" 2>&1 ||
      { skipped 'the recipe of Conan (no conan: pip could not install it)'; return; }
  fi
  # Make exports CC=cc, a name that Conan cannot tell the compiler from; without it, Conan asks cc itself.
  [ "$CC" != cc ] || export -n CC
  export CONAN_HOME=$here/home
  rm -rf "$CONAN_HOME"
  to_log conan-profile "$here/bin/conan" profile detect
  grep -q '^compiler=' "$WORK/conan-profile.log" || fail "Conan does not know the compiler CC=$CC: see $WORK/conan-profile.log"
  say "$("$here/bin/conan" --version)"
  for shared in True False; do
    # Its test's files go below the home, not into the tree.
    (
      cd packaging/conan
      export CARGO_TARGET_DIR=$WORK/cargo TMPDIR=$here
      to_log "conan-shared-$shared" "$here/bin/conan" create . -o "&:shared=$shared" \
        -c tools.cmake.cmake_layout:test_folder="\$TMP" -c tools.cmake.cmaketoolchain:user_presets=
    )
    [ "$(grep -c '^threadlocalmap [0-9.]*$' "$WORK/conan-shared-$shared.log")" = 1 ] || fail 'the test program has not printed the version'
    say "conan create . -o shared=$shared: the test programs in C and C++ run"
  done
}

# ---- vcpkg ------------------------------------------------------------------------

# The keys and forms that vcpkg's schema of a manifest has, as far as this one uses them.
check_manifest() {
  python3 - packaging/vcpkg/ports/threadlocalmap/vcpkg.json "$VERSION" <<'EOF'
import json, re, sys

with open(sys.argv[1]) as file:
    manifest = json.load(file)
known = {"name", "version", "description", "homepage", "license", "supports", "dependencies"}
assert set(manifest) <= known, set(manifest) - known
assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", manifest["name"])
assert manifest["version"] == sys.argv[2], "the version is not Cargo.toml's"
assert re.fullmatch(r"\d+(\.\d+)*", manifest["version"])
for text in ("description", "license", "supports"):
    assert isinstance(manifest[text], str) and manifest[text]
for dependency in manifest["dependencies"]:
    assert set(dependency) <= {"name", "host"} and isinstance(dependency.get("host", False), bool), dependency
EOF
}

# What a package has beside include/.
vcpkg_files() {
  printf '%s\n' lib/pkgconfig/threadlocalmap.pc \
    share/threadlocalmap/{copyright,threadlocalmapConfig.cmake,threadlocalmapConfigVersion.cmake,usage}
  if [ "$1" = static ]; then echo lib/libthreadlocalmap.a; else printf "lib/libthreadlocalmap.so%s\n" '' .0 ".$VERSION"; fi
}

part_vcpkg() {
  headline 'vcpkg: the port, run without vcpkg, as static and as dynamic library'
  local linkage package different flags
  have cmake || { skipped 'the port of vcpkg (no cmake: cmake)'; return; }
  if have python3; then check_manifest; else skipped 'the manifest of the port of vcpkg (no python3: python3)'; fi
  for linkage in static dynamic; do
    package=$WORK/vcpkg-$linkage
    CARGO_TARGET_DIR=$WORK/cargo to_log "vcpkg-$linkage" cmake -DLINKAGE=$linkage -DPACKAGES="$package" -P packaging/vcpkg/run_port.cmake
    different=$(diff <(vcpkg_files $linkage | sort) <(cd "$package" && find . -not -type d -not -path './include/*' | sed 's/^..//' | sort)) ||
      fail "the files of the package differ from the expected ones (<): $different"
    different=$(diff <(cd include && ls) <(cd "$package/include" && ls) | grep '^<') && fail "headers are missing: $different"
    rm -rf "$package.user"
    to_log "vcpkg-user-$linkage" cmake -S packaging/vcpkg/user -B "$package.user" -DCMAKE_PREFIX_PATH="$package"
    to_log "vcpkg-user-build-$linkage" cmake --build "$package.user"
    [ "$("$package.user/main")" = "threadlocalmap $VERSION" ] || fail 'the program that uses the package fails'
    say "$linkage: a program with find_package() runs"
    have pkg-config || { skipped "the port's pkg-config file (no pkg-config: pkg-config)"; continue; }
    # No --static: vcpkg's users do not say it.
    flags=$(PKG_CONFIG_PATH=$package/lib/pkgconfig pkg-config --cflags --libs threadlocalmap)
    # shellcheck disable=SC2086
    "$CC" packaging/conan/test_package/program.c $flags -o "$package.user/by-pkg-config"
    LD_LIBRARY_PATH=$package/lib "$package.user/by-pkg-config" >/dev/null || fail 'the program that is built with the flags of pkg-config fails'
  done
}

parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=(bindgen debian conan vcpkg)
for part in "${parts[@]}"; do
  declare -F "part_$part" >/dev/null || fail "unknown part $part; the parts are: bindgen debian conan vcpkg"
  start=$SECONDS
  "part_$part"
  say "($part: $((SECONDS - start)) s)"
done
