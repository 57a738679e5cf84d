#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# debian.sh FOLDER: writes Debian's source tree of what git tracks here, FOLDER/threadlocalmap-VERSION, and
# its .orig.tar.gz beside it. dpkg-buildpackage in that tree makes the packages.
#
# 1. The tree builds without a network: vendor/ has the crates of the library, and cargo looks there.
# 2. Only these: what the tests need (cbindgen, proptest, ...) is not in its Cargo.toml.
# 3. debian/ is not in the .orig.tar.gz: it is packaging/debian.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

[ $# -eq 1 ] || fail 'give a folder to write to'
have git || fail 'no git (Debian: apt-get install git)'
mkdir -p "$1"
folder=$(realpath "$1")
version=$(sed -n 's/^threadlocalmap (\(.*\)-[^-]*) .*/\1/p;q' packaging/debian/changelog)
[ "$version" = "$(sed -n '/^\[package\]/,/^version/s/^version = "\(.*\)"/\1/p' Cargo.toml)" ] ||
  fail "packaging/debian/changelog has version $version, and Cargo.toml has another"
tree=$folder/threadlocalmap-$version
rm -rf "$tree"
mkdir -p "$tree"

# The tracked files as they are now, in the folder.
git ls-files -z --cached | grep -zv '^packaging/debian/' |
  tar -c --null --ignore-failed-read --files-from - 2>/dev/null | tar -x -C "$tree"
sed -i '/^\[dev-dependencies\]/,/^$/d' "$tree/Cargo.toml"
mkdir "$tree/.cargo"
(cd "$tree" && "$CARGO" vendor --quiet vendor >/dev/null)
cat >"$tree/.cargo/config.toml" <<'EOF'
[source.crates-io]
replace-with = "vendor"

[source.vendor]
directory = "vendor"
EOF

stamp=@$(date -ud "$(sed -n 's/^ -- .*>  //p;T;q' packaging/debian/changelog)" +%s)
tar -c --sort=name --mtime="$stamp" --owner=0 --group=0 --numeric-owner -C "$folder" "threadlocalmap-$version" |
  gzip -9n >"$folder/threadlocalmap_$version.orig.tar.gz"
cp -r packaging/debian "$tree/debian"
say "$tree"
