#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# link-shared.sh ARCHIVE FOLDER [FLAG...]: links the shared library from the static one, with the version of each
# symbol, and puts it into the folder under its three names. The flags are the compiler's, as --sysroot=.
#
# Not cargo's own: rustc passes the linker a list of symbols that has no versions, and no linker takes a
# second one (GNU's refuses it, LLVM's ignores it). The code is the same, and so are the flags (build.rs), but
# for the SONAME.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

[ $# -ge 2 ] || fail 'usage: link-shared.sh ARCHIVE FOLDER [FLAG...]'
archive=$1 folder=$2
shift 2
[ -f "$archive" ] || fail "$archive does not exist: make all builds it"
[ -d "$folder" ] || fail "$folder is not a folder"
# A command with flags, or one whose path may have blanks.
if have "$CC"; then compiler=("$CC"); else read -ra compiler <<<"$CC"; fi
have "${compiler[0]:-}" || fail "$CC was not found; the library is linked with it: install it (Debian: apt-get install gcc), or name another compiler with CC="
version=$(package_version)
new=$folder/.libthreadlocalmap.$$

# take NAME: renames $new to this name in one step: a program that starts now finds the old or the new file.
take() { mv -fT "$new" "$folder/$1"; }

# Every exported function is asked for: cargo's profile dev has them in many objects of the archive.
wanted=()
for name in $(grep -oE '\<(tls|tlm|threadlocalmap)_[a-z0-9_]+;' src/capi/exports.map); do wanted+=("-Wl,--undefined=${name%;}"); done

# One segment for all that is only read, instead of three with gaps between them: 9 KB of the file.
"${compiler[@]}" "$@" -shared -o "$new" "${wanted[@]}" "$archive" -Wl,--version-script=src/capi/exports.map \
  -Wl,-soname,libthreadlocalmap.so.0 -Wl,-z,nodelete -Wl,-Bsymbolic-functions \
  -Wl,-z,relro -Wl,-z,now -Wl,-z,noseparate-code -Wl,--gc-sections -Wl,--as-needed -Wl,-O1 ||
  fail "$CC cannot link $archive: is it a compiler for the target that cargo built for? CC= names another one"
chmod 755 "$new"
take "libthreadlocalmap.so.$version"
ln -s "libthreadlocalmap.so.$version" "$new" && take libthreadlocalmap.so.0
ln -s libthreadlocalmap.so.0 "$new" && take libthreadlocalmap.so
