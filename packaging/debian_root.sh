#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# debian_root.sh FOLDER TREE: installs FOLDER's packages in a temporary root, runs TREE's debian/tests there,
# upgrades to packages of a higher version, removes and purges them. Called as root.
#
# The root is this system itself, with a layer in memory over it that takes all changes (overlayfs, in a
# mount namespace of its own): dpkg, the compiler and Python are the real ones, and nothing is fetched.
#
# 1. This system stays as it is: the layer goes with the last process in the namespace.
# 2. After the purge, the layer has only what dpkg, ldconfig and man-db keep for themselves.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

PACKAGES='libthreadlocalmap0 libthreadlocalmap-dev python3-threadlocalmap'
# In the root.
HERE=/var/tmp/threadlocalmap

# ---- Outside ----------------------------------------------------------------------

# higher FOLDER NEW: the packages in FOLDER once more in NEW, as a later revision.
higher() {
  local file tree
  mkdir -p "$2"
  for file in "$1"/*.deb; do
    tree=$2/tree
    dpkg-deb -R "$file" "$tree"
    sed -i -E '/^(Version|Depends):/s/(0\.[0-9.]+-1)\b/\1+later1/g' "$tree/DEBIAN/control"
    dpkg-deb --root-owner-group -b "$tree" "$2/$(basename "$file")" >/dev/null
    rm -rf "$tree"
  done
}

# What the layer has that is neither in the system nor a program's own record.
leftovers() {
  local entry
  (cd "$1" && find . -mindepth 1) | sed 's/^\.//' | while read -r entry; do
    case $entry in
    "$HERE" | "$HERE"/* | /tmp/* | /var/lib/dpkg/* | /var/log/* | /var/cache/ldconfig/* | /var/cache/man/* | \
      /etc/ld.so.cache) continue ;;
    esac
    [ -d "$1$entry" ] && [ -d "$entry" ] || printf '%s\n' "$entry"
  done
}

outside() {
  local folder=$1 tree=$2 space=$3 left package
  mount -t tmpfs -o size=512m tmpfs "$space"
  mkdir "$space/layer" "$space/work" "$space/root"
  mount -t overlay overlay -o "lowerdir=/,upperdir=$space/layer,workdir=$space/work" "$space/root"
  mount -t proc proc "$space/root/proc"
  mount --bind /dev "$space/root/dev"
  mkdir -p "$space/root$HERE/now"
  for package in $PACKAGES; do cp "$folder/$package"_*.deb "$space/root$HERE/now/"; done
  higher "$space/root$HERE/now" "$space/root$HERE/later"
  cp -r "$tree" "$space/root$HERE/tree"
  chroot "$space/root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
    bash "$HERE/tree/packaging/debian_root.sh" --inside
  left=$(leftovers "$space/layer")
  [ -z "$left" ] || fail "after the purge, these files are left or changed: $left"
  say 'purged: no file is left'
}

# ---- Inside -----------------------------------------------------------------------

# versions: that of each of the packages, if it is installed.
versions() {
  local package
  for package in $PACKAGES; do
    dpkg-query -W -f '${db:Status-Status} ${Version}\n' "$package" 2>/dev/null | sed -n 's/^installed //p'
  done
}

# use VERSION: all packages have it, and do what they are for.
use() {
  local test
  [ "$(versions | sort | uniq -c | xargs)" = "3 $1" ] || fail "these versions are installed: $(versions | xargs)"
  ldconfig -p | grep -q 'libthreadlocalmap.so.0 .*=> /lib/.*\|libthreadlocalmap.so.0 .*=> /usr/lib/' ||
    fail 'the dynamic linker does not find the library'
  for test in c python; do
    "debian/tests/$test" || fail "debian/tests/$test failed"
  done
}

inside() {
  local files now later
  cd "$HERE/tree"
  now=$(dpkg-deb -f "$HERE"/now/libthreadlocalmap0_*.deb Version)
  later=$(dpkg-deb -f "$HERE"/later/libthreadlocalmap0_*.deb Version)
  quietly dpkg -i "$HERE"/now/*.deb
  use "$now"
  say "installed $now: a C program (shared and static) and Python use it"
  quietly dpkg -i "$HERE"/later/*.deb
  use "$later"
  say "upgraded to $later: they still use it"
  # shellcheck disable=SC2086
  files=$(dpkg -L $PACKAGES | sort -u | while read -r file; do if [ ! -d "$file" ]; then printf '%s\n' "$file"; fi; done)
  [ "$(wc -l <<<"$files")" -gt 40 ] || fail "the packages have too few files: $files"
  # shellcheck disable=SC2086
  quietly dpkg -r $PACKAGES
  for file in $files; do [ ! -e "$file" ] || fail "$file is left after the removal"; done
  # shellcheck disable=SC2086
  quietly dpkg -P $PACKAGES
}

quietly() { "$@" >/tmp/log 2>&1 || { cat /tmp/log; fail "$* failed"; }; }

if [ "${1:-}" = --inside ]; then
  inside
elif [ "${1:-}" = --outside ]; then
  outside "$2" "$3" "$4"
else
  [ $# -eq 2 ] || fail 'usage: debian_root.sh FOLDER TREE'
  # Where the layer is mounted; empty again afterwards.
  space=$(mktemp -d)
  trap 'rmdir "$space"' EXIT
  unshare --mount --pid --fork "$0" --outside "$1" "$2" "$space"
fi
