/*
 * Values of what is not a thread: a coroutine, a fiber, a session.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef THREADLOCALMAP_MAP_HPP
#define THREADLOCALMAP_MAP_HPP

#include "config.hpp"
#include "error.hpp"

#include <utility>

namespace tls {
inline namespace TLS_PRIVATE_MODE {

/**
 * A map of values that goes from thread to thread with what it belongs to. While a thread is in it,
 * every object of this header means the map's values there.
 *
 *     tls::map own;                             with the coroutine
 *     tls::map::guard inside(own);              around each of its resume()s
 *     handle.resume();
 *
 * A map is one thread's at a time. Its values end with it, on the thread that destroys it; no other
 * thread may be in it then. A map must not end inside a destructor that the library calls, such as
 * that of a value: the library refuses to destroy it there, and it would stay for ever.
 */
class map {
 public:
  class guard;

#if TLS_PRIVATE_EXCEPTIONS
  map() {
    std::error_code error;
    make(error);
    detail::require(error, "tls::map");
  }
#endif

  /** With an error it stands for each thread's own map. */
  explicit map(std::error_code &error) noexcept { make(error); }

  map(map &&other) noexcept : native_(std::exchange(other.native_, nullptr)) {}

  map &operator=(map &&other) noexcept {
    map(std::move(other)).swap(*this);
    return *this;
  }

  ~map() {
    // A thread that is in the map itself goes back to its own.
    if (native_ != nullptr && tls_map_current() == native_) tls_map_switch(nullptr, nullptr);
    tls_map_destroy(native_);
  }

  void swap(map &other) noexcept { std::swap(native_, other.native_); }

  tls_map_t *native_handle() const noexcept { return native_; }

 private:
  void make(std::error_code &error) noexcept { error = detail::code_of(tls_map_create(&native_)); }

  tls_map_t *native_ = nullptr;
};

/** The calling thread is in a map, from here to the end of the block. Guards nest. */
class map::guard {
 public:
#if TLS_PRIVATE_EXCEPTIONS
  /** Throws errc::busy while another thread is in it. */
  explicit guard(const map &to) {
    std::error_code error;
    enter(to, error);
    detail::require(error, "tls::map::guard");
  }
#endif

  guard(const map &to, std::error_code &error) noexcept { enter(to, error); }

  guard(const guard &) = delete;
  guard &operator=(const guard &) = delete;

  /** On the same thread. */
  ~guard() {
    if (inside_ != nullptr) {
      detail::handed_in(inside_);
      tls_map_switch(previous_, nullptr);
    }
  }

 private:
  void enter(const map &to, std::error_code &error) noexcept {
    error = detail::code_of(tls_map_switch(to.native_handle(), &previous_));
    if (!error) {
      inside_ = to.native_handle();
      detail::handed_out(inside_);
    }
  }

  tls_map_t *inside_ = nullptr;
  tls_map_t *previous_ = nullptr;
};

}  // namespace TLS_PRIVATE_MODE
}  // namespace tls

#endif
