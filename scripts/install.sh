#!/usr/bin/env bash
# install.sh PREFIX [LIBDIR [INCLUDEDIR]]: puts the built library, its headers and its pkg-config
# file there; below $DESTDIR, when that is set. `make install` calls it.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

[ $# -ge 1 ] || fail 'give a prefix, such as /usr/local'
prefix=$1 libdir=${2:-$1/lib} includedir=${3:-$1/include} root=${DESTDIR:-}
case $prefix$libdir$includedir in
*[[:space:]]*) fail 'the folders may not have spaces in them: pkg-config cannot say such flags' ;;
esac
for folder in "$prefix" "$libdir" "$includedir"; do
  case $folder in /*) ;; *) fail "$folder: give an absolute path" ;; esac
done
for file in libthreadlocalmap.so libthreadlocalmap.a; do
  [ -f "$TARGET/release/$file" ] || fail "$TARGET/release/$file is not built: make all"
done
version=$(sed -n '/^\[package\]/,/^version/s/^version = "\(.*\)"/\1/p' Cargo.toml)

# The library is one object of the archive; beside it, cargo has put all of Rust's compiler_builtins,
# which no program links. An object that names something of core is plain cargo's, not of `make all`.
archive=$TARGET/release/libthreadlocalmap.a
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
object=$(ar t "$archive" | grep '^threadlocalmap')
ar p "$archive" "$object" >"$work/threadlocalmap.o"
if nm --undefined-only "$work/threadlocalmap.o" | grep -qE ' (_R|_ZN|__rust)'; then
  fail "$archive is not from make all: build it anew"
fi
ar rcsD "$work/libthreadlocalmap.a" "$work/threadlocalmap.o"

install -d "$root$libdir/pkgconfig" "$root$includedir"
install -d "$root$includedir/threadlocalmap" "$root$includedir/threadlocalmap_pthread"
install -m 644 include/*.h bindings/c/include/*.h bindings/cpp/include/*.hpp "$root$includedir/"
install -m 644 bindings/cpp/include/threadlocalmap/*.hpp "$root$includedir/threadlocalmap/"
install -m 644 bindings/c/include/threadlocalmap_pthread/pthread.h "$root$includedir/threadlocalmap_pthread/"
install -m 644 "$work/libthreadlocalmap.a" "$root$libdir/"
install -m 755 "$TARGET/release/libthreadlocalmap.so" "$root$libdir/libthreadlocalmap.so.$version"
ln -sf "libthreadlocalmap.so.$version" "$root$libdir/libthreadlocalmap.so.0"
ln -sf libthreadlocalmap.so.0 "$root$libdir/libthreadlocalmap.so"

# From where the file lies, not from a fixed path: the tree may be moved as a whole.
up=$(realpath -m --relative-to="$libdir/pkgconfig" "$prefix")
inside() { realpath -m --relative-to="$prefix" "$1"; }
cat >"$root$libdir/pkgconfig/threadlocalmap.pc" <<EOF
prefix=\${pcfiledir}/$up
libdir=\${prefix}/$(inside "$libdir")
includedir=\${prefix}/$(inside "$includedir")

Name: threadlocalmap
Description: Weak-keyed thread locals with explicit cleanup, for thread pools
Version: $version
Cflags: -I\${includedir}
Libs: -L\${libdir} -lthreadlocalmap
Libs.private: -pthread
EOF
chmod 644 "$root$libdir/pkgconfig/threadlocalmap.pc"
say "installed threadlocalmap $version: headers in $root$includedir, libraries in $root$libdir"
