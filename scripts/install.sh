#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# install.sh [--uninstall | --built FOLDER]: puts the library, its headers, its man pages and what build
# systems find it by below PREFIX, LIBDIR, INCLUDEDIR and MANDIR (of the environment), and these below
# DESTDIR; or removes exactly these files. `make install`, `make uninstall` and Meson call it.
#
# 1. It installs what cargo builds for the sources as they are now, or nothing. --built: that is there.
# 2. The installed tree may be moved: its files name each other by relative paths.
# 3. A file takes the place of an older one at once; programs that run keep the one they have.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

PREFIX=${PREFIX-/usr/local}
LIBDIR=${LIBDIR-$PREFIX/lib} INCLUDEDIR=${INCLUDEDIR-$PREFIX/include} MANDIR=${MANDIR-$PREFIX/share/man}
ROOT=${DESTDIR:-} uninstall='' stage=$TARGET/dist build=yes
case ${1:-} in
'') ;;
--uninstall) uninstall=yes ;;
--built) stage=${2:?--built wants a folder} build='' ;;
*) fail 'usage: install.sh [--uninstall | --built FOLDER]' ;;
esac

for tool in realpath install; do have "$tool" || fail "no $tool (Debian: apt-get install coreutils)"; done
version=$(package_version)

# ---- The folders ------------------------------------------------------------------

for name in PREFIX LIBDIR INCLUDEDIR MANDIR; do
  folder=${!name}
  case $folder in
  /*) ;;
  '') fail "$name is empty: give an absolute path, such as PREFIX=/usr/local" ;;
  '~'*) fail "$name=$folder: the shell has not expanded the ~: give an absolute path, such as $name=\"\$HOME/tls\"" ;;
  *) fail "$name=$folder is a relative path: give an absolute one, such as $name=\"\$PWD/$folder\"" ;;
  esac
  # pkg-config and CMake give these a meaning of their own, and have no way to write them plainly.
  case $folder in
  *[[:cntrl:]\"\'\`\\\$\#\;\@]*)
    fail "$name=$folder: the path has a character that pkg-config or CMake files cannot hold (a quote, \\, \$, #, ;, @ or a control character)" ;;
  esac
  printf -v "$name" %s "$(realpath -ms "$folder")"
done

# writable FOLDER: it, or the folder that it would be made in.
writable() {
  local folder=$1
  while [ ! -e "$folder" ] && [ ! -L "$folder" ]; do folder=$(dirname "$folder"); done
  [ -d "$folder" ] || fail "$1: $folder is not a folder"
  [ -w "$folder" ] || fail "$1: no right to write to $folder: run it as root (sudo make install), or give a PREFIX= of your own"
}
for folder in "$LIBDIR" "$LIBDIR/pkgconfig" "$LIBDIR/cmake/threadlocalmap" "$INCLUDEDIR" "$INCLUDEDIR/threadlocalmap" \
  "$INCLUDEDIR/threadlocalmap_pthread" "$MANDIR/man3" "$MANDIR/man7"; do
  writable "$ROOT$folder"
done

# ---- The files --------------------------------------------------------------------

# MODE, source and destination of each file, three words a file.
files=()
# add MODE FOLDER FILE...
add() {
  local mode=$1 folder=$2 file
  shift 2
  for file in "$@"; do files+=("$mode" "$file" "$folder/${file##*/}"); done
}
shopt -s nullglob
add 644 "$INCLUDEDIR" include/*.h bindings/c/include/*.h bindings/cpp/include/*.hpp
add 644 "$INCLUDEDIR/threadlocalmap" bindings/cpp/include/threadlocalmap/*.hpp
add 644 "$INCLUDEDIR/threadlocalmap_pthread" bindings/c/include/threadlocalmap_pthread/*.h
add 644 "$MANDIR/man3" docs/man/man3/*.3
add 644 "$MANDIR/man7" docs/man/man7/*.7
shopt -u nullglob
add 644 "$LIBDIR" "$stage/libthreadlocalmap.a"
add 755 "$LIBDIR" "$stage/libthreadlocalmap.so.$version"
# Made from templates, below.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
add 644 "$LIBDIR/pkgconfig" "$work/threadlocalmap.pc"
add 644 "$LIBDIR/cmake/threadlocalmap" "$work/threadlocalmapConfig.cmake" "$work/threadlocalmapConfigVersion.cmake"
links=("$LIBDIR/libthreadlocalmap.so.0" "libthreadlocalmap.so.$version" "$LIBDIR/libthreadlocalmap.so" libthreadlocalmap.so.0)

# versions: the shared libraries of our SONAME that are installed, of any version. Their debug information, and
# what a debugger loads for them, are other people's.
versions() {
  local file
  [ -d "$ROOT$LIBDIR" ] || return 0
  for file in "$ROOT$LIBDIR"/libthreadlocalmap.so.0.*; do
    if [[ ${file##*/} =~ ^libthreadlocalmap\.so\.0\.[0-9]+\.[0-9]+$ ]]; then printf '%s\n' "$file"; fi
  done
}

# from_template FILE NAME=TEXT...
from_template() {
  local text pair
  text=$(cat "$1")
  shift
  for pair in "$@"; do text=${text//"@${pair%%=*}@"/"${pair#*=}"}; done
  printf '%s\n' "$text"
}

relative() { realpath -ms --relative-to="$2" "$1"; }
# In a pkg-config file, a backslash keeps a blank in the word.
escaped() { printf '%s' "${1// /\\ }"; }

make_package_files() {
  from_template threadlocalmap.pc.in "VERSION=$version" \
    "UP=$(escaped "$(relative "$PREFIX" "$LIBDIR/pkgconfig")")" \
    "LIBDIR=$(escaped "$(relative "$LIBDIR" "$PREFIX")")" \
    "INCLUDEDIR=$(escaped "$(relative "$INCLUDEDIR" "$PREFIX")")" >"$work/threadlocalmap.pc"
  from_template cmake/threadlocalmapConfig.cmake.in "VERSION=$version" \
    "INCLUDEDIR=$(relative "$INCLUDEDIR" "$LIBDIR/cmake/threadlocalmap")" >"$work/threadlocalmapConfig.cmake"
  from_template cmake/threadlocalmapConfigVersion.cmake.in "VERSION=$version" >"$work/threadlocalmapConfigVersion.cmake"
}

# ---- The dynamic linker -----------------------------------------------------------

# Not on everybody's PATH. LDCONFIG names another one.
find_ldconfig() {
  local command
  for command in "${LDCONFIG:-ldconfig}" /sbin/ldconfig /usr/sbin/ldconfig; do
    if have "$command"; then printf '%s\n' "$command"; return; fi
  done
}

# searched LDCONFIG FOLDER: the dynamic linker looks for libraries there.
searched() {
  local folder
  while read -r folder; do
    [ "$(realpath -m "$folder")" != "$(realpath -m "$2")" ] || return 0
  done < <(if [ -n "$1" ]; then "$1" -N -X -v 2>/dev/null | sed -n 's/^\(\/[^:]*\):.*/\1/p'
           else printf '%s\n' /lib /usr/local/lib /usr/lib; fi)
  return 1
}

# How programs find the library from now on.
tell_dynamic_linker() {
  local ldconfig
  # Below DESTDIR is not where programs look; a package's own scripts call ldconfig.
  [ -z "$ROOT" ] || return 0
  ldconfig=$(find_ldconfig)
  if ! searched "$ldconfig" "$LIBDIR"; then
    [ -z "$uninstall" ] || return 0
    say "The dynamic linker does not search $LIBDIR. A program that is linked with the shared library"
    say "starts when it is linked with   -Wl,-rpath,'$LIBDIR'"
    say "or run with                     LD_LIBRARY_PATH='$LIBDIR'"
  elif [ -z "$ldconfig" ]; then
    return 0
  elif [ "$(id -u)" -eq 0 ] && "$ldconfig"; then
    say "ran ldconfig: programs find the shared library in $LIBDIR"
  elif [ -z "$uninstall" ]; then
    say "Programs find the shared library in $LIBDIR after: sudo ldconfig"
  fi
}

# ---- What is asked for ------------------------------------------------------------

if [ -n "$uninstall" ]; then
  ours=()
  for ((i = 0; i < ${#files[@]}; i += 3)); do ours+=("$ROOT${files[i + 2]}"); done
  for ((i = 0; i < ${#links[@]}; i += 2)); do ours+=("$ROOT${links[i]}"); done
  while read -r file; do ours+=("$file"); done < <(versions)
  installed=''
  for file in "${ours[@]}"; do
    # A link may point to a file that has gone.
    if [ -e "$file" ] || [ -L "$file" ]; then rm -f "$file"; installed=yes; fi
  done
  # The folders that are ours alone.
  for folder in "$INCLUDEDIR/threadlocalmap" "$INCLUDEDIR/threadlocalmap_pthread" "$LIBDIR/cmake/threadlocalmap"; do
    [ ! -d "$ROOT$folder" ] || rmdir --ignore-fail-on-non-empty "$ROOT$folder"
  done
  if [ -n "$installed" ]; then
    say "removed threadlocalmap from $ROOT$INCLUDEDIR, $ROOT$LIBDIR and $ROOT$MANDIR"
    tell_dynamic_linker
  else
    say "threadlocalmap is not installed in $ROOT$INCLUDEDIR, $ROOT$LIBDIR or $ROOT$MANDIR: nothing to remove"
  fi
  exit
fi

if [ -z "$build" ] || "$CARGO" --version >/dev/null 2>&1; then
  [ -z "$build" ] || scripts/build.sh --stage "$stage"
else
  # As `make && sudo make install` has it, where cargo is the user's and not root's.
  newest=$stage/libthreadlocalmap.so.$version
  [ -f "$newest" ] || fail "no $CARGO, and nothing is built: run make all first, as the user who has cargo, or see https://rustup.rs"
  target=$(cat "$stage/target")
  [ "$target" = "${CARGO_BUILD_TARGET:-}" ] ||
    fail "no $CARGO, and $stage is built for ${target:-this machine}, not for ${CARGO_BUILD_TARGET:-this machine}: run make all first, as the user who has cargo"
  changed=$(find src build.rs Cargo.toml Cargo.lock .cargo -newer "$newest" -type f 2>/dev/null | head -n 1) || true
  [ -z "$changed" ] || fail "no $CARGO, and $changed is newer than what is built: run make all first, as the user who has cargo"
fi

make_package_files
for ((i = 0; i < ${#files[@]}; i += 3)); do
  [ -f "${files[i + 1]}" ] || fail "${files[i + 1]} is missing: it should have been built"
done
for ((i = 0; i < ${#files[@]}; i += 3)); do
  destination=$ROOT${files[i + 2]}
  install -d "$(dirname "$destination")"
  # A man page that has several names has links for them.
  if [ -L "${files[i + 1]}" ]; then cp -P "${files[i + 1]}" "$destination.new"
  else install -m "${files[i]}" "${files[i + 1]}" "$destination.new"; fi
  mv -fT "$destination.new" "$destination"
done
for ((i = 0; i < ${#links[@]}; i += 2)); do
  ln -sfn "${links[i + 1]}" "$ROOT${links[i]}"
done
# One of another version would be what ldconfig has the SONAME's link point to, if its number is higher.
versions | while read -r file; do
  [ "$file" = "$ROOT$LIBDIR/libthreadlocalmap.so.$version" ] || { rm -f "$file"; say "removed ${file##*/}, of another version"; }
done
say "installed threadlocalmap $version: headers in $ROOT$INCLUDEDIR, libraries in $ROOT$LIBDIR"
tell_dynamic_linker
