#!/usr/bin/env bash
# What README.md shows is true: its C program is examples/hello.c and its C++ program
# examples/hello.cpp, they compile without a warning with the commands that the README gives, and
# print what the README says they print.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

work=$TARGET/check-readme
rm -rf "$work"
mkdir -p "$work"

# block WORD: the first fenced block after the line <!-- WORD -->
block() {
  awk -v mark="<!-- $1 -->" '
    $0 == mark { found = 1; next }
    found && /^```/ { if (inside) exit; inside = 1; next }
    found && inside { print }
  ' README.md
}

build_library

# program FILE BUILD OUTPUT COMPILE...: one program, its command and its output, by their marks.
program() {
  local file=$1 build=$2 output=$3 part
  shift 3
  block "$file" >"$work/$file"
  [ -s "$work/$file" ] || fail "README.md has no program after <!-- $file -->"
  diff -u "examples/$file" "$work/$file" || fail "README.md shows another program than examples/$file"
  block "$build" >"$work/build.sh"
  block "$output" >"$work/expected"
  for part in build.sh expected; do
    [ -s "$work/$part" ] || fail "README.md lacks the command or the output of $file"
  done
  "$@" -Wall -Wextra -Wpedantic -Werror -Iinclude -c "examples/$file" -o "$work/hello.o"
  # The README names the default places; here they may be others.
  sed -e "s#^cc #$CC #; s#^c++ #${CXX:-c++} #; s#target/#$TARGET/#g" "$work/build.sh" >"$work/build-here.sh"
  # A make of its own, not one below `make check`, which says where it is.
  env -u MAKEFLAGS -u MAKELEVEL bash -euo pipefail "$work/build-here.sh" >"$work/printed" 2>"$work/errors" || {
    cat "$work/errors"
    fail "the README's command for $file fails"
  }
  diff -u "$work/expected" "$work/printed" || fail "examples/$file prints something else than README.md says"
}

program hello.c 'hello build' 'hello output' "$CC" -std=c11
program hello.cpp 'hello.cpp build' 'hello.cpp output' "${CXX:-c++}" -std=c++17 -Ibindings/cpp/include

# Every file that the README and the guides link to is there, and every function that they name.
for page in README.md docs/*.md; do
  { grep -o '](\([^)#]*\))' "$page" || true; } | sed 's/](\(.*\))/\1/' | sort -u | while read -r link; do
    case $link in http*) continue ;; esac
    [ -e "$(dirname "$page")/$link" ] || fail "$page links to $link, which does not exist"
  done
  { grep -oE '\btls_[a-z_]+\(' "$page" || true; } | sort -u | tr -d '(' | while read -r name; do
    grep -qw "$name" include/*.h || fail "$page names $name(), which is not in the header"
  done
done
# Every function of the header is in the README.
nm -D --defined-only "$TARGET/release/libthreadlocalmap.so" | awk '$2 == "T" { print $3 }' |
  grep -v '_v[0-9]*$' | while read -r name; do
    grep -qw "$name" README.md || fail "README.md does not mention $name(), which the library exports"
  done
say 'README.md: the programs, their commands and output, links and functions are right'
