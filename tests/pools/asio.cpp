// SPDX-License-Identifier: MIT OR Apache-2.0
// The thread_pool of Asio without Boost.
#include <asio.hpp>

namespace net = asio;

#include "asio_test.hpp"
