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
 * to. While a thread is in a map, every object of this library reads and stores the values of that
 * map on that thread.
 *
 *     tls::map own;                             a member of the coroutine's owner
 *     tls::map::guard inside(own);              in the block of each resume()
 *     handle.resume();
 *
 * Only one thread at a time can be in a map. The values of a map are destroyed with the map, on the
 * thread that destroys it. No other thread may be in the map then. Do not destroy a map inside a
 * destructor or another function that the library calls: the library refuses to destroy it there,
 * and the map is leaked.
 *
 * A map can be moved and swapped, and cannot be copied. An object that was moved from has no map: a
 * guard of it refers to the thread's own map.
 */
class map {
 public:
  class guard;

#if TLS_PRIVATE_EXCEPTIONS
  /**
   * Makes an empty map.
   *
   * @throws std::system_error with errc::no_memory.
   */
  map() {
    std::error_code error;
    make(error);
    detail::require(error, "tls::map");
  }
#endif

  /**
   * Makes an empty map. After an error the object is as if moved from.
   *
   * @param[out] error The error if the call fails; cleared otherwise.
   */
  explicit map(std::error_code &error) noexcept { make(error); }

  /**
   * Moves a map, with its values.
   *
   * @param other The object to move from.
   */
  map(map &&other) noexcept : native_(std::exchange(other.native_, nullptr)) {}

  /**
   * Moves a map, with its values. The map that this object had is destroyed.
   *
   * @param other The object to move from.
   * @return This object.
   */
  map &operator=(map &&other) noexcept {
    map moved(std::move(other));
    moved.swap(*this);
    return *this;
  }

  /**
   * Destroys the map and its values. If the calling thread is in the map, it returns to its own map
   * first.
   */
  ~map() {
    if (native_ != nullptr && tls_map_current() == native_) tls_map_switch(nullptr, nullptr);
    tls_map_destroy(native_);
  }

  /**
   * Exchanges two maps.
   *
   * @param other The object to exchange with.
   */
  void swap(map &other) noexcept { std::swap(native_, other.native_); }

  /**
   * Returns the map, for C functions such as tls_map_switch().
   *
   * @return The map; null if the object was moved from.
   */
  tls_map_t *native_handle() const noexcept { return native_; }

 private:
  void make(std::error_code &error) noexcept { error = detail::code_of(tls_map_create(&native_)); }

  tls_map_t *native_ = nullptr;
};

/**
 * Puts the calling thread into a map for the rest of a block. A guard cannot be copied or moved.
 *
 * Guards can be nested, and must be destroyed in the reverse order. While the thread is in the
 * inner map, it is not in the outer one, and another thread can enter that. A map must outlive all
 * guards that return to it.
 *
 * A guard must be destroyed on the thread that made it. So use it around a resume(), and never
 * inside a coroutine that continues on another thread. On another thread, the guard cannot leave
 * the map, and the thread that made the guard stays in the map. The destructor then reports the
 * mistake on stderr and changes nothing; without NDEBUG it calls std::terminate(). leave() reports
 * it as an error.
 */
class map::guard {
 public:
#if TLS_PRIVATE_EXCEPTIONS
  /**
   * Puts the calling thread into a map.
   *
   * @param to The map.
   * @throws std::system_error with errc::busy if another thread is in the map, with errc::reentrant
   *   if called inside a function that the library calls, with errc::no_memory, and with
   *   errc::exiting if the thread is past its last cleanup.
   */
  explicit guard(const map &to) {
    std::error_code error;
    enter(to, error);
    detail::require(error, "tls::map::guard",
                    {{errc::busy, "another thread is in the map"},
                     {errc::reentrant, "called inside a function that the library calls"}});
  }
#endif

  /**
   * Puts the calling thread into a map. After an error the thread is in the same map as before.
   *
   * @param to The map.
   * @param[out] error The error if the call fails; cleared otherwise.
   */
  guard(const map &to, std::error_code &error) noexcept { enter(to, error); }

  guard(const guard &) = delete;
  guard &operator=(const guard &) = delete;

  /**
   * Leaves the map, and returns to the map that the thread was in before. If another thread has
   * entered that map meanwhile, the thread returns to its own map.
   */
  ~guard() {
    std::error_code error;
    leave(error);
    if (!error) return;
    if (!thread_.is_this()) detail::ends_elsewhere("tls::map::guard");
    else tls_map_switch(nullptr, nullptr);
  }

  /**
   * Leaves the map before the end of the block. It fails with errc::busy if another thread made the
   * guard, which must call it then, or if another thread has entered the map to return to. Then
   * nothing has changed. A second call has no effect.
   *
   * @param[out] error The error if the call fails; cleared otherwise.
   */
  void leave(std::error_code &error) noexcept {
    error.clear();
    if (!entered_) return;
    if (!thread_.is_this()) {
      error = make_error_code(errc::busy);
      return;
    }
    detail::handed_in(inside_);
    error = detail::code_of(tls_map_switch(previous_, nullptr));
    entered_ = static_cast<bool>(error);
  }

#if TLS_PRIVATE_EXCEPTIONS
  /**
   * Leaves the map before the end of the block. A second call has no effect.
   *
   * @throws std::system_error with errc::busy if another thread made the guard, or has entered the
   *   map to return to; then nothing has changed.
   */
  void leave() {
    std::error_code error;
    leave(error);
    detail::require(error, "tls::map::guard::leave",
                    {{errc::busy, thread_.is_this() ? "another thread is in the map to return to"
                                                    : "on another thread than it began on"}});
  }
#endif

 private:
  void enter(const map &to, std::error_code &error) noexcept {
    error = detail::code_of(tls_map_switch(to.native_handle(), &previous_));
    if (error) return;
    entered_ = true;
    inside_ = to.native_handle();
    detail::handed_out(inside_);
  }

  detail::same_thread thread_;
  bool entered_ = false;
  tls_map_t *inside_ = nullptr;  // Null is the thread's own map.
  tls_map_t *previous_ = nullptr;
};

}  // namespace TLS_PRIVATE_MODE
}  // namespace tls

#endif
