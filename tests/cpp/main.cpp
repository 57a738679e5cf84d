// SPDX-License-Identifier: MIT OR Apache-2.0
// The tests of the C++ header: Catch2's own main, compiled once for all of them.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
