#!/usr/bin/env bash
# build.sh --stage FOLDER [--dev] [CARGO-OPTION...]: builds the shared and the static library, and puts them
# into FOLDER under the names that they are installed by. `make all`, CMake and Meson call it.
#
# Cargo decides where its files are: CARGO_BUILD_TARGET, CARGO_TARGET_DIR and .cargo/config.toml move them.
# So cargo is asked, and what an older build left elsewhere is never taken.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

stage='' profile=(--release)
while true; do
  case ${1:-} in
  --stage) stage=${2:?--stage wants a folder}; shift 2 ;;
  --dev) profile=(); shift ;;
  *) break ;;
  esac
done
[ -n "$stage" ] || fail 'usage: build.sh --stage FOLDER [--dev] [CARGO-OPTION...]'

have "$CARGO" ||
  fail "no $CARGO: Rust 1.82 or newer builds the library: https://rustup.rs, or a package (Debian: apt-get install cargo)"
for tool in ar nm; do have "$tool" || fail "no $tool (Debian: apt-get install binutils)"; done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if ! cargo_library ${profile[@]+"${profile[@]}"} --message-format=json-render-diagnostics "$@" >"$work/messages"; then
  have cc || say 'There is no cc to link with (Debian: apt-get install gcc libc6-dev).' >&2
  fail 'cargo has not built the library: its message is above'
fi

# built EXTENSION: the one file of this kind that cargo says it has built, or that was up to date.
built() {
  local files
  files=$(grep '"reason":"compiler-artifact"' "$work/messages" | grep -oE "\"/[^\"]*/libthreadlocalmap\\.$1\"" | tr -d '"' | sort -u) || true
  case $files in
  '') fail "cargo has built no libthreadlocalmap.$1; this build is for Linux" ;;
  *$'\n'*) fail "cargo has built for more than one target; CARGO_BUILD_TARGET=TRIPLE chooses one:"$'\n'"$files" ;;
  esac
  [ -f "$files" ] || fail "$files: cargo says that it is there, and it is not"
  printf '%s\n' "$files"
}
shared=$(built so)
archive=$(built a)

# A program that was linked with cargo's own file asks for the SONAME.
ln -sfn libthreadlocalmap.so "$(dirname "$shared")/libthreadlocalmap.so.0"

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
version=$(package_version)
mkdir -p "$stage"
stage 644 "$work/libthreadlocalmap.a" libthreadlocalmap.a
stage 755 "$shared" "libthreadlocalmap.so.$version"
ln -sfn "libthreadlocalmap.so.$version" "$stage/libthreadlocalmap.so.0"
ln -sfn libthreadlocalmap.so.0 "$stage/libthreadlocalmap.so"
# What install.sh compares with where there is no cargo.
printf '%s\n' "${CARGO_BUILD_TARGET:-}" >"$stage/target"
say "built: $shared; to link with: $stage"
