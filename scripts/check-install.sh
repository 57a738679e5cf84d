#!/usr/bin/env bash
# Installs below a scratch folder, moves the tree elsewhere, and builds and runs examples/hello.c
# there, shared and static, with what the pkg-config file says. In two layouts of folders.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

work=$(realpath -m "$TARGET/check-install")

# check_layout LIBDIR
check_layout() {
  local root=$work/$1 flags linked
  rm -rf "$root"
  DESTDIR=$root/staged scripts/install.sh /opt/tls "/opt/tls/$1"
  [ "$(readelf -d "$root/staged/opt/tls/$1/libthreadlocalmap.so" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')" = \
    libthreadlocalmap.so.0 ] || fail 'the shared library has not the SONAME libthreadlocalmap.so.0'
  mv "$root/staged/opt/tls" "$root/moved"
  have pkg-config || { skipped 'the pkg-config file (no pkg-config)'; return 0; }
  export PKG_CONFIG_PATH=$root/moved/$1/pkgconfig

  flags=$(pkg-config --cflags --libs threadlocalmap)
  # shellcheck disable=SC2086
  "$CC" examples/hello.c $flags -pthread -o "$root/hello-shared"
  LD_LIBRARY_PATH=$root/moved/$1 "$root/hello-shared" >"$root/shared.out"
  # The C++ header, with all its parts.
  # shellcheck disable=SC2086
  "${CXX:-c++}" -std=c++17 examples/hello.cpp $flags -pthread -o "$root/hello-cpp"
  LD_LIBRARY_PATH=$root/moved/$1 "$root/hello-cpp" >/dev/null
  # The optional header, with a program that needs more keys than the system has.
  # shellcheck disable=SC2086
  "$CC" -include threadlocalmap_pthread.h tests/migrating/many_keys.c $flags -pthread -o "$root/many-keys"
  LD_LIBRARY_PATH=$root/moved/$1 "$root/many-keys" >/dev/null
  # The same, by its folder alone.
  # shellcheck disable=SC2086
  "$CC" -I"$(pkg-config --variable=includedir threadlocalmap)/threadlocalmap_pthread" tests/migrating/many_keys.c $flags -pthread -o "$root/many-keys"
  LD_LIBRARY_PATH=$root/moved/$1 "$root/many-keys" >/dev/null

  # The archive: one object, with nothing of Rust's to be linked beside it.
  local archive=$root/moved/$1/libthreadlocalmap.a
  [ "$(ar t "$archive")" = threadlocalmap.o ] || fail "the archive has more than one object: $(ar t "$archive" | paste -sd ' ')"
  [ "$(stat -c %s "$archive")" -le 320000 ] || fail "the archive has $(stat -c %s "$archive") bytes"
  for linked in '' -static -static-pie; do
    # shellcheck disable=SC2086
    "$CC" -Iinclude tests/linking/alone.c "$archive" $linked -o "$root/alone" || fail "cc alone.c libthreadlocalmap.a $linked"
    "$root/alone" >/dev/null
  done

  rm "$root/moved/$1"/libthreadlocalmap.so*
  flags=$(pkg-config --cflags --libs --static threadlocalmap)
  # shellcheck disable=SC2086
  "$CC" examples/hello.c $flags -o "$root/hello-static"
  "$root/hello-static" >"$root/static.out"
  cmp "$root/shared.out" "$root/static.out"
  say "hello.c with pkg-config, tree moved, in $1: shared and static print the same"
}

check_layout lib
check_layout lib/multiarch/x
