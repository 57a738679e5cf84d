#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# The C++ header (tests/cpp.rs), as far as compilers and sanitizers are here. The tests run with clang, and
# as C++17 without a sanitizer, in make check-deep only: before, clang looks for errors and warnings.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

headline 'The C++ header: its tests with two compilers and the sanitizers, and the code of a get'
have "${GXX:-g++}" || { skipped "the C++ tests (no ${GXX:-g++})"; exit 0; }
have_header catch2/catch.hpp || { skipped 'the C++ tests (no catch2/catch.hpp: Catch2, version 2)'; exit 0; }
skips=()
if ! have "${CLANGXX:-clang++}"; then
  skipped "the C++ tests with clang (no ${CLANGXX:-clang++})"
  skips+=(--skip clang_)
elif [ -z "${CHECK_DEEP:-}" ]; then
  skips+=(--skip clang_cpp17 --skip clang_plugins --skip clang_refuses)
fi
build=$(realpath -m "$TARGET/check-cpp")
mkdir -p "$build"
if build_for_threads "$build"; then
  THREADLOCALMAP_THREAD_LIB=$(realpath "$INSTRUMENTED.so") THREADLOCALMAP_THREAD_OBJECT=$build/tsan_memory.o
  THREADLOCALMAP_THREAD_LIB=${THREADLOCALMAP_THREAD_LIB%.so}
  export THREADLOCALMAP_THREAD_LIB THREADLOCALMAP_THREAD_OBJECT
else
  skipped "the C++ tests under ThreadSanitizer (this rustc does not instrument the library: see $build/build.log)"
  skips+=(--skip thread_sanitizer)
fi
"$CARGO" test --locked --test cpp -- ${skips[@]+"${skips[@]}"}
