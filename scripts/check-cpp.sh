#!/usr/bin/env bash
# The C++ header: its tests, with gcc and clang, as C++17 and C++20, under the sanitizers, without
# exceptions; and that a get in a loop is compiled without a call.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

GCC=${GXX:-g++} CLANG=${CLANGXX:-clang++}
build=$(realpath -m "$TARGET/check-cpp")
mkdir -p "$build/lib" "$build/lib-thread"

# use_library FILE FOLDER: the folder has the shared library by both of its names.
use_library() {
  local name
  for name in libthreadlocalmap.so libthreadlocalmap.so.0; do ln -sf "$(realpath "$1")" "$2/$name"; done
}

build_library
use_library "$TARGET/release/libthreadlocalmap.so" "$build/lib"
LIBRARY=$build/lib LINKED=''

# in_configuration TARGET NAME COMPILER FLAGS: builds below one folder for each NAME, with LIBRARY and LINKED.
in_configuration() {
  local target=$1 name=$2 compiler=$3 flags=$4 began=$SECONDS
  mkdir -p "$build/$name"
  if ! make --no-print-directory -C tests/cpp -j"$(nproc)" "$target" CXX="$compiler" FLAGS="$flags" \
    BUILD="$build/$name" LIB="$LIBRARY" LINKED="$LINKED" MAIN="$build/main.o" >"$build/$name.log" 2>&1; then
    grep -v "^$compiler " "$build/$name.log" | tail -n 60
    fail "the C++ tests fail in the configuration $name ($compiler $flags)"
  fi
  say "$name: $compiler $flags: $(sed -n 's/^All tests passed/tests passed/p' "$build/$name.log") ($((SECONDS - began)) s)"
}

# Whether in each of the functions loop_* of an object the loop that reads the thread's hot slot has
# no call in it: the loop is what a conditional jump backwards spans, and the slot is what %fs leads
# to. (What a miss does stands outside of it.)
loops_without_calls() {
  objdump -d --no-show-raw-insn "$1" | awk '
    function close_function() {
      if (name == "") return
      for (jump in target) {
        slot = call = 0
        for (line in text) if (line >= target[jump] && line <= jump + 0) {
          if (text[line] ~ /%fs:/) slot = 1
          if (text[line] ~ /call/) call = 1
        }
        if (slot) { loops++; if (call) { bad = 1; print "   a call in the loop of " name } }
      }
      if (!loops) { bad = 1; print "   no loop of " name " has the inlined look-up" }
      name = ""; loops = 0; delete target; delete text
    }
    function number(hex,    value, i) {
      value = 0
      for (i = 1; i <= length(hex); i++) value = value * 16 + index("0123456789abcdef", substr(hex, i, 1)) - 1
      return value
    }
    /^[0-9a-f]+ <.*>:$/ { close_function(); if ($2 ~ /^<loop_[a-z]*>/) { name = substr($2, 2, length($2) - 3); seen++ } next }
    name != "" && /^ *[0-9a-f]+:/ {
      at = number(substr($1, 1, length($1) - 1))
      text[at] = $0
      if ($2 ~ /^j/ && $2 != "jmp" && number($3) <= at) target[at] = number($3)
    }
    END { close_function(); exit bad || seen != 4 }'
}

check_loops() {
  local compiler=$1 flags
  case $("$compiler" -dumpmachine) in x86_64-*linux-gnu) ;; *) skipped "looking at the code of $compiler (not x86-64)"; return ;; esac
  for flags in '-std=c++17 -O2' '-std=c++20 -O2 -fPIC'; do
    # shellcheck disable=SC2086
    "$compiler" $flags -Ibindings/cpp/include -Iinclude -c tests/cpp/hot_loop.cpp -o "$build/hot_loop.o"
    loops_without_calls "$build/hot_loop.o" || fail "$compiler $flags compiles a get to a call"
  done
  # The check itself: it must see the calls that are there without inlining.
  "$compiler" -std=c++17 -O2 -DTLS_NO_INLINE -Ibindings/cpp/include -Iinclude -c tests/cpp/hot_loop.cpp -o "$build/hot_loop.o"
  ! loops_without_calls "$build/hot_loop.o" >/dev/null || fail 'the check of the loops does not see a call'
  say "$compiler: a get in a loop is inlined, in programs and in shared objects"
}

have "$GCC" || { skipped "the C++ tests (no $GCC)"; exit 0; }
have_header catch2/catch.hpp || { skipped 'the C++ tests (no catch2/catch.hpp: Catch2, version 2)'; exit 0; }

in_configuration check gcc-c++20 "$GCC" '-std=c++20 -O1'
check_loops "$GCC"
if have "$CLANG"; then
  in_configuration check clang-c++17 "$CLANG" '-std=c++17 -O0'
  in_configuration syntax clang-c++20 "$CLANG" '-std=c++20'
  check_loops "$CLANG"
else
  skipped "the C++ tests with clang (no $CLANG)"
fi
export THREADLOCALMAP_TEST_SCALE=${THREADLOCALMAP_TEST_SCALE:-20}
in_configuration check address "$GCC" '-std=c++17 -O0 -fsanitize=address,undefined -fno-sanitize-recover=undefined'
if build_for_threads "$build"; then
  use_library "$INSTRUMENTED.so" "$build/lib-thread"
  LIBRARY=$build/lib-thread LINKED=$build/tsan_memory.o in_configuration check thread "$GCC" '-std=c++17 -O0 -fsanitize=thread'
else
  skipped "the C++ tests under ThreadSanitizer (this rustc does not instrument the library: see $build/build.log)"
fi
