// SPDX-License-Identifier: MIT OR Apache-2.0
// Boost.Asio's thread_pool.
#include <boost/asio.hpp>

namespace net = boost::asio;

#include "asio_test.hpp"
