#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# install.sh [--uninstall | --built FOLDER]: installs the library, its headers, its man pages and the files for
# build systems below PREFIX, LIBDIR, INCLUDEDIR and MANDIR (from the environment), and these below DESTDIR;
# or removes exactly these files. `make install`, `make uninstall` and Meson call it.
#
# 1. It installs what cargo builds from the current sources, or nothing. With --built, FOLDER has the files.
# 2. The installed tree may be moved: its files refer to each other by relative paths.
# 3. A new file replaces an old one in one step; running programs keep the old file.
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
  case $folder in
  *:*) fail "$name=$folder: the path has a colon, which PKG_CONFIG_PATH and LD_LIBRARY_PATH cannot hold" ;;
  esac
  # These have a special meaning in files of pkg-config and CMake, and can't be escaped there.
  case $folder in
  *[[:cntrl:]\"\'\`\\\$\#\;\@]*)
    fail "$name=$folder: the path has a character that pkg-config or CMake files cannot hold (a quote, \\, \$, #, ;, @ or a control character)" ;;
  esac
  printf -v "$name" %s "$(realpath -ms "$folder")"
done

# writable FOLDER: fails unless the folder, or the one in which it would be made, is writable.
writable() {
  local folder=$1
  while [ ! -e "$folder" ] && [ ! -L "$folder" ]; do folder=$(dirname "$folder"); done
  [ -d "$folder" ] || fail "$1: $folder is not a folder"
  [ -w "$folder" ] || fail "$1: no permission to write to $folder: run it as root (sudo make ${uninstall:+un}install), or choose another PREFIX="
}
for folder in "$LIBDIR" "$LIBDIR/pkgconfig" "$LIBDIR/cmake/threadlocalmap" "$INCLUDEDIR" "$INCLUDEDIR/threadlocalmap" \
  "$INCLUDEDIR/threadlocalmap_pthread" "$MANDIR/man3" "$MANDIR/man7"; do
  writable "$ROOT$folder"
done

# ---- The files --------------------------------------------------------------------

# For each file three words: its mode, source and destination.
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
# These are made from templates, below.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
add 644 "$LIBDIR/pkgconfig" "$work/threadlocalmap.pc"
add 644 "$LIBDIR/cmake/threadlocalmap" "$work/threadlocalmapConfig.cmake" "$work/threadlocalmapConfigVersion.cmake"
links=("$LIBDIR/libthreadlocalmap.so.0" "libthreadlocalmap.so.$version" "$LIBDIR/libthreadlocalmap.so" libthreadlocalmap.so.0)

# versions: prints the installed shared libraries with our SONAME, of any version. Their debug information and
# their files for debuggers belong to other packages.
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
    "INCLUDEDIR=$(escaped "$(relative "$INCLUDEDIR" "$LIBDIR/pkgconfig")")" >"$work/threadlocalmap.pc"
  from_template cmake/threadlocalmapConfig.cmake.in "VERSION=$version" \
    "INCLUDEDIR=$(relative "$INCLUDEDIR" "$LIBDIR/cmake/threadlocalmap")" >"$work/threadlocalmapConfig.cmake"
  from_template cmake/threadlocalmapConfigVersion.cmake.in "VERSION=$version" >"$work/threadlocalmapConfigVersion.cmake"
}

# ---- The dynamic linker -----------------------------------------------------------

# It may not be on PATH. LDCONFIG names another one.
find_ldconfig() {
  local command
  for command in "${LDCONFIG:-ldconfig}" /sbin/ldconfig /usr/sbin/ldconfig; do
    if have "$command"; then printf '%s\n' "$command"; return; fi
  done
}

# searched LDCONFIG FOLDER: whether the dynamic linker searches the folder.
searched() {
  local folder
  while read -r folder; do
    [ "$(realpath -m "$folder")" != "$(realpath -m "$2")" ] || return 0
  done < <(if [ -n "$1" ]; then "$1" -N -X -v 2>/dev/null | sed -n 's/^\(\/[^:]*\):.*/\1/p'
           else printf '%s\n' /lib /usr/local/lib /usr/lib; fi)
  return 1
}

# Updates the dynamic linker's cache, or says how programs find the library.
tell_dynamic_linker() {
  local ldconfig
  # Programs do not search below DESTDIR; the scripts of a package call ldconfig.
  [ -z "$ROOT" ] || return 0
  ldconfig=$(find_ldconfig)
  if ! searched "$ldconfig" "$LIBDIR"; then
    [ -z "$uninstall" ] || return 0
    say "The dynamic linker does not search $LIBDIR. To use the shared library,"
    say "link programs with              -Wl,-rpath,'$LIBDIR'"
    say "or run them with                LD_LIBRARY_PATH='$LIBDIR'"
  elif [ -z "$ldconfig" ]; then
    return 0
  elif [ "$(id -u)" -eq 0 ] && "$ldconfig"; then
    if [ -n "$uninstall" ]; then say 'ran ldconfig'
    else say "ran ldconfig: programs find the shared library in $LIBDIR"; fi
  elif [ -z "$uninstall" ]; then
    say "Programs find the shared library in $LIBDIR after: sudo ldconfig"
  fi
}

# ---- Uninstall or install ---------------------------------------------------------

if [ -n "$uninstall" ]; then
  ours=()
  for ((i = 0; i < ${#files[@]}; i += 3)); do ours+=("$ROOT${files[i + 2]}"); done
  for ((i = 0; i < ${#links[@]}; i += 2)); do ours+=("$ROOT${links[i]}"); done
  while read -r file; do ours+=("$file"); done < <(versions)
  installed=''
  for file in "${ours[@]}"; do
    # A link may point to a file that does not exist.
    if [ -e "$file" ] || [ -L "$file" ]; then rm -f "$file"; installed=yes; fi
  done
  # Only this library uses these folders.
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
  # With `make && sudo make install`, the user may have cargo and root may not.
  newest=$stage/libthreadlocalmap.so.$version
  [ -f "$newest" ] || fail "$CARGO was not found, and nothing is built: run make all first, as the user who has cargo, or see https://rustup.rs"
  target=$(cat "$stage/target")
  [ "$target" = "${CARGO_BUILD_TARGET:-}" ] ||
    fail "$CARGO was not found, and $stage is built for ${target:-this machine}, not for ${CARGO_BUILD_TARGET:-this machine}: run make all first, as the user who has cargo"
  changed=$(find src build.rs Cargo.toml Cargo.lock .cargo -newer "$newest" -type f 2>/dev/null | head -n 1) || true
  [ -z "$changed" ] || fail "$CARGO was not found, and $changed is newer than what is built: run make all first, as the user who has cargo"
fi

make_package_files
for ((i = 0; i < ${#files[@]}; i += 3)); do
  [ -f "${files[i + 1]}" ] || fail "${files[i + 1]} does not exist: it should have been built"
done
for ((i = 0; i < ${#files[@]}; i += 3)); do
  destination=$ROOT${files[i + 2]}
  install -d "$(dirname "$destination")"
  # A man page with several names has a link for each.
  if [ -L "${files[i + 1]}" ]; then cp -P "${files[i + 1]}" "$destination.new"
  else install -m "${files[i]}" "${files[i + 1]}" "$destination.new"; fi
  mv -fT "$destination.new" "$destination"
done
for ((i = 0; i < ${#links[@]}; i += 2)); do
  ln -sfn "${links[i + 1]}" "$ROOT${links[i]}"
done
# If a library of another version has a higher number, ldconfig would make the SONAME's link point to it.
versions | while read -r file; do
  [ "$file" = "$ROOT$LIBDIR/libthreadlocalmap.so.$version" ] || { rm -f "$file"; say "removed ${file##*/}, of another version"; }
done
say "installed threadlocalmap $version: headers in $ROOT$INCLUDEDIR, libraries in $ROOT$LIBDIR"
tell_dynamic_linker
