#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# build.sh OPTION... [CARGO-OPTION...]: builds the shared and the static library. `make all`, CMake and Meson
# call it.
#   --stage FOLDER       puts them into this folder, under their installed names
#   --dev                uses cargo's profile `dev`; without it, `release`
#   --compiler CC        builds for the machine that this C compiler compiles for, and links with it
#   --compiler-flag F    passes a flag to this compiler, such as --sysroot=FOLDER
#   --depfile FILE NAME  writes a rule for ninja, with the sources that its output NAME depends on
#
# Cargo decides where its files are: CARGO_BUILD_TARGET, CARGO_TARGET_DIR and .cargo/config.toml move them.
# So the script asks cargo, and never uses files of an older build in another folder.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

# Paths are relative to where it was called; lib.sh has gone to the root.
called_from=$OLDPWD
from_there() { case $1 in /*) printf '%s\n' "$1" ;; *) printf '%s\n' "$called_from/$1" ;; esac; }

stage='' profile=(--release) compiler='' flags=() depfile='' options=()
while [ $# -gt 0 ]; do
  case $1 in
  --stage) stage=$(from_there "${2:?--stage wants a folder}"); shift ;;
  --dev) profile=() ;;
  --compiler) compiler=${2:?--compiler wants a command}; shift ;;
  --compiler-flag) flags+=("${2:?--compiler-flag wants a flag}"); shift ;;
  --depfile) depfile=$(from_there "${2:?--depfile wants a file}") depfile_output=${3:?--depfile wants a name}; shift 2 ;;
  *) options+=("$1") ;;
  esac
  shift
done
[ -n "$stage" ] || fail '--stage FOLDER is missing'

have "$CARGO" ||
  fail "$CARGO was not found: install Rust 1.82 or newer from https://rustup.rs, or as a package (Debian: apt-get install cargo)"
for tool in ar nm; do have "$tool" || fail "no $tool (Debian: apt-get install binutils)"; done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# triple_of MACHINE: cargo's name of what gcc's and clang's -dumpmachine prints.
triple_of() {
  local arch=${1%%-*} libc=${1##*-}
  [[ $1 == *-linux-* ]] || return
  case $arch-$libc in
  i[3-6]86-*) arch=i686 ;;
  riscv64-*) arch=riscv64gc ;;
  arm-*hf) arch=armv7 ;; # as Debian's armhf
  esac
  printf '%s\n' "$arch-unknown-linux-$libc"
}

if [ -n "$compiler" ]; then
  machine=$("$compiler" ${flags[@]+"${flags[@]}"} -dumpmachine) || fail "$compiler -dumpmachine failed: is it a C compiler?"
  triple=$(triple_of "$machine") || fail "$compiler compiles for $machine, which is not Linux"
  options+=(--target "$triple")
  variable=CARGO_TARGET_$(tr a-z- A-Z_ <<<"$triple")
  export "${variable}_LINKER=$compiler"
  name=${variable}_RUSTFLAGS
  for flag in ${flags[@]+"${flags[@]}"}; do export "$name=${!name:-} -Clink-arg=$flag"; done
fi

if ! cargo_library ${profile[@]+"${profile[@]}"} --message-format=json-render-diagnostics \
  ${options[@]+"${options[@]}"} >"$work/messages"; then
  have cc || say 'cc was not found; cargo links with it (Debian: apt-get install gcc libc6-dev)' >&2
  fail 'cargo has not built the library: see its message above'
fi

# built EXTENSION: the one file of this kind that cargo says it has built, or that was up to date.
built() {
  local files
  files=$(grep '"reason":"compiler-artifact"' "$work/messages" | grep -oE "\"/[^\"]*/libthreadlocalmap\\.$1\"" | tr -d '"' | sort -u) || true
  case $files in
  '') fail "cargo has built no libthreadlocalmap.$1; this script builds for Linux only" ;;
  *$'\n'*) fail "cargo has built for more than one target; CARGO_BUILD_TARGET=TRIPLE chooses one:"$'\n'"$files" ;;
  esac
  [ -f "$files" ] || fail "cargo reports the file $files, but it does not exist"
  printf '%s\n' "$files"
}
archive=$(built a)
folder=$(dirname "$archive")

# The compiler that links it is the target's: the one that was named, or that cargo has for it.
linker=$compiler
if [ -z "$linker" ] && [ -n "${CARGO_BUILD_TARGET:-}" ]; then
  name=CARGO_TARGET_$(tr a-z- A-Z_ <<<"$CARGO_BUILD_TARGET")_LINKER
  linker=${!name:-}
fi
CC=${linker:-$CC} scripts/link-shared.sh "$archive" "$folder" ${flags[@]+"${flags[@]}"}

# The library is one object of the archive; beside it, cargo has put all of Rust's compiler_builtins,
# which no program links. Without link-time optimisation there are more objects: all stay.
objects=$(ar t "$archive" | grep '^threadlocalmap')
if [ "$(wc -l <<<"$objects")" -eq 1 ]; then
  ar p "$archive" "$objects" >"$work/threadlocalmap.o"
  if nm --undefined-only "$work/threadlocalmap.o" | grep -qE ' (_R|_ZN|__rust)'; then
    cp "$archive" "$work/libthreadlocalmap.a"
  else
    ar rcsD "$work/libthreadlocalmap.a" "$work/threadlocalmap.o"
  fi
else
  cp "$archive" "$work/libthreadlocalmap.a"
fi

# stage MODE FILE NAME: a program may run with the old file, so the new one takes its place at once.
stage() {
  install -m "$1" "$2" "$stage/.$3.$$"
  mv -f "$stage/.$3.$$" "$stage/$3"
}
# link TARGET NAME: the same; a program may look for it at any time.
link() {
  ln -s "$1" "$stage/.$2.$$"
  mv -fT "$stage/.$2.$$" "$stage/$2"
}
version=$(package_version)
mkdir -p "$stage"
stage 644 "$work/libthreadlocalmap.a" libthreadlocalmap.a
stage 755 "$folder/libthreadlocalmap.so.$version" "libthreadlocalmap.so.$version"
link "libthreadlocalmap.so.$version" libthreadlocalmap.so.0
link libthreadlocalmap.so.0 libthreadlocalmap.so
if [ -n "$depfile" ]; then
  # Cargo has a rule for each of its files, or for one.
  rule=$(head -n 1 "${archive%.a}.d")
  printf '%s:%s\n' "$depfile_output" "${rule#*:}" >"$depfile"
fi
# What install.sh compares with where there is no cargo.
printf '%s\n' "${CARGO_BUILD_TARGET:-}" >"$stage/target"
say "built in $folder; installed names in $stage"
