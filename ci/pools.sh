#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# Thread pools of other libraries (tests/pools.rs), if their headers are installed.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

headline 'Thread pools of other libraries: values are destroyed with their task or object, on their own thread'
# needs TEST HEADER PACKAGE
needs() {
  have_header "$2" && return
  skipped "the pool test $1 (no $2: $3)"
  skips+=(--skip "$1" --exact)
}
skips=()
needs glib glib-2.0/glib.h libglib2.0-dev
needs libuv uv.h libuv1-dev
needs tbb tbb/task_arena.h libtbb-dev
needs tbb_without_exceptions tbb/task_arena.h libtbb-dev
needs boost_asio boost/asio.hpp libboost-dev
needs asio asio.hpp libasio-dev
needs coroutines asio.hpp libasio-dev
needs futures thread_pool/thread_pool.hpp libthread-pool-dev
if have node; then needs node_addons node/node_api.h libnode-dev
else needs node_addons node nodejs; fi
"$CARGO" test --locked --test pools -- ${skips[@]+"${skips[@]}"}
