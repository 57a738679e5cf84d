/**
 * @file
 * threadlocalmap/map.hpp - the values of a coroutine, a fiber or a session.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef THREADLOCALMAP_MAP_HPP
#define THREADLOCALMAP_MAP_HPP

#include "config.hpp"
#include "error.hpp"
#include "same_thread.hpp"

#include <utility>

namespace tls {
inline namespace TLS_PRIVATE_MODE {

/**
 * A map of values that moves between threads with the coroutine, fiber or session that it belongs
 * to. While a thread is in a map, every object of this header refers to the map's values on that
 * thread.
 *
 *     tls::map own;                             with the coroutine
 *     tls::map::guard inside(own);              around each of its resume()s
 *     handle.resume();
 *
 * At most one thread at a time can be in a map. The map's values are destroyed with it, on the
 * thread that destroys it; no other thread may be in it then. Do not destroy a map inside a
 * destructor that the library calls, such as that of a value: the library refuses to destroy it
 * there, and it is never destroyed.
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

  /** After an error it refers to each thread's own map. */
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

/**
 * The calling thread is in a map from the guard's constructor to the end of its block. Guards can
 * be nested.
 *
 * A guard must end on the thread that it began on. So put it around a resume(), and never inside a
 * coroutine that continues on another thread. On another thread it can't end, and the first thread
 * stays in the map: the destructor reports this on stderr and changes nothing, and without NDEBUG
 * it calls std::terminate(). leave() reports it as an error.
 */
class map::guard {
 public:
#if TLS_PRIVATE_EXCEPTIONS
  /** Throws errc::busy if another thread is in the map. */
  explicit guard(const map &to) {
    std::error_code error;
    enter(to, error);
    detail::require(error, "tls::map::guard",
                    {{errc::busy, "another thread is in the map"},
                     {errc::reentrant, "called inside a function that the library calls"}});
  }
#endif

  /** After an error the thread is in the same map as before. */
  guard(const map &to, std::error_code &error) noexcept { enter(to, error); }

  guard(const guard &) = delete;
  guard &operator=(const guard &) = delete;

  /** Leaves the map, on the same thread. */
  ~guard() {
    std::error_code error;
    leave(error);
    if (error == errc::busy) detail::ends_elsewhere("tls::map::guard");
  }

  /**
   * Leaves the map before the end of the block. It fails with errc::busy if the guard began on
   * another thread; nothing has changed then, and that thread must call it. The second call has no
   * effect.
   */
  void leave(std::error_code &error) noexcept {
    error.clear();
    if (inside_ == nullptr) return;
    if (!thread_.is_this()) {
      error = make_error_code(errc::busy);
      return;
    }
    detail::handed_in(std::exchange(inside_, nullptr));
    tls_map_switch(previous_, nullptr);
  }

#if TLS_PRIVATE_EXCEPTIONS
  void leave() {
    std::error_code error;
    leave(error);
    detail::require(error, "tls::map::guard::leave",
                    {{errc::busy, "on another thread than it began on"}});
  }
#endif

 private:
  void enter(const map &to, std::error_code &error) noexcept {
    error = detail::code_of(tls_map_switch(to.native_handle(), &previous_));
    if (!error) {
      inside_ = to.native_handle();
      detail::handed_out(inside_);
    }
  }

  detail::same_thread thread_;
  tls_map_t *inside_ = nullptr;
  tls_map_t *previous_ = nullptr;
};

}  // namespace TLS_PRIVATE_MODE
}  // namespace tls

#endif
