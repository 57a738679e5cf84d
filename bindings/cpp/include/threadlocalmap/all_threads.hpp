/*
 * All threads' values of one object.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef THREADLOCALMAP_ALL_THREADS_HPP
#define THREADLOCALMAP_ALL_THREADS_HPP

#include "box.hpp"
#include "key.hpp"

#include <cstddef>
#include <cstdint>
#include <exception>
#include <type_traits>
#include <utility>
#include <vector>

namespace tls {
inline namespace TLS_PRIVATE_MODE {

namespace detail {

/** Named so that a compiler's message says what to use. */
struct there_are_no_iterators_use_for_each_or_iterate_over_snapshot;

}  // namespace detail

/**
 * All threads' values of an object that was made with options::enumerable().
 *
 *     long total = hits.all_threads().reduce(0L, [](long sum, counter &c) { return sum + c.load(); });
 *     for (const sample &each : samples.all_threads().snapshot()) print(each);
 *
 * It passes each value to a function, and *a value is not destroyed while the function runs*. So a
 * reference is valid inside of the function. Take copies out of it, and no addresses. An iterator could
 * not keep this promise from one call to the next, so there are iterators over copies only.
 *
 * No thread waits for a visit (except for for_each_locked()): threads continue to make, replace and
 * remove values, and may end. A value that its thread replaces or removes while it is visited is destroyed
 * after the visit. A thread that has a value all the time is visited once, whether the value changes or
 * not; a value that is made or removed meanwhile may be visited or not. The threads may be using the
 * contents of the values: use atomics, or a mutex.
 *
 * Any thread may visit, and several at once. While another thread clears the object: errc::busy; try
 * again. The view is a number, and may be kept: when its object is destroyed, its functions return
 * errc::dead_key.
 */
template <class T>
class all_threads_view {
 public:
  /** has_boxes: whether values may have deleters of their own. */
  explicit all_threads_view(tls_key_t values, bool has_boxes = false) noexcept
      : values_(values), has_boxes_(has_boxes) {}

  /**
   * Calls f with each value, as f(T &) or as f(T &, std::uint64_t thread), where `thread` is the
   * operating system's number of the thread that has it. When f throws, that is the last call of
   * it, and the exception reaches the caller.
   */
  template <class F>
  void for_each(F &&f, std::error_code &error) const {
    visit(tls_for_each, f, error);
  }

  /**
   * The same, with all values as they are at one instant: for a sum that must be exact. From the first call
   * of f to the last, no value of the object is set, replaced or removed, and no thread that has one
   * ends: those that try wait. A get() that finds a value does not wait. The threads
   * may still be using the contents of the values. It waits while another thread is inside this function,
   * for any object.
   *
   * Locks are held while f runs: f should be short, and must not wait for a thread that may be inside this
   * library. f may read values that its thread already has, of any object, by get(), get_existing(), * and
   * ->. Functions that set, visit, clear, or would make a value, return errc::reentrant; functions that
   * report no error, such as expunge() and reset(), do nothing. f must neither make nor destroy objects.
   * Use for_each() if f needs more.
   *
   * If f throws, it is not called again, and the exception reaches the caller, with no lock held.
   */
  template <class F>
  void for_each_locked(F &&f, std::error_code &error) const {
    visit(tls_for_each_locked, f, error);
  }

  /** result = f(result, value) for each value; the last result. */
  template <class Result, class F>
  Result reduce(Result result, F f, std::error_code &error) const {
    for_each([&](T &value) { result = f(std::move(result), value); }, error);
    return result;
  }

  /** The results of f for each value, copied. */
  template <class F>
  auto collect(F f, std::error_code &error) const {
    std::vector<std::decay_t<std::invoke_result_t<F &, T &>>> results;
    static_assert(!std::is_same_v<std::decay_t<std::invoke_result_t<F &, T &>>, T *>,
                  "a pointer to a value is good only while it is visited");
    for_each([&](T &value) { results.push_back(f(value)); }, error);
    return results;
  }

  /** Copies of all values, to iterate over. */
  auto snapshot(std::error_code &error) const {
    static_assert(std::is_copy_constructible_v<T>,
                  "a snapshot is made of copies, and these values can't be copied: use collect(f), "
                  "with what f makes of each, or for_each(f)");
    return collect([](const T &value) -> T { return value; }, error);
  }

  /** How many threads have a value now; it visits each. 0 if none has, and after an error. */
  std::size_t size(std::error_code &error) const {
    std::size_t count = 0;
    for_each([&](T &) { count++; }, error);
    return error ? 0 : count;
  }

  /** A value can end while an iterator stands at it: use for_each(f), or iterate over snapshot(). */
  detail::there_are_no_iterators_use_for_each_or_iterate_over_snapshot *begin() const =
      TLS_PRIVATE_DELETED("a value can end meanwhile: use for_each(f), or iterate over snapshot()");
  detail::there_are_no_iterators_use_for_each_or_iterate_over_snapshot *end() const =
      TLS_PRIVATE_DELETED("a value can end meanwhile: use for_each(f), or iterate over snapshot()");

#if TLS_PRIVATE_EXCEPTIONS
  template <class F>
  void for_each(F &&f) const {
    required([&](auto &error) { for_each(f, error); }, "tls::all_threads_view::for_each");
  }

  template <class F>
  void for_each_locked(F &&f) const {
    required([&](auto &error) { for_each_locked(f, error); },
             "tls::all_threads_view::for_each_locked");
  }

  template <class Result, class F>
  Result reduce(Result result, F f) const {
    required([&](auto &error) { result = reduce(std::move(result), std::move(f), error); },
             "tls::all_threads_view::reduce");
    return result;
  }

  template <class F>
  auto collect(F f) const {
    std::error_code error;
    auto results = collect(std::move(f), error);
    required([&](auto &answer) { answer = error; }, "tls::all_threads_view::collect");
    return results;
  }

  auto snapshot() const {
    std::error_code error;
    auto copies = snapshot(error);
    required([&](auto &answer) { answer = error; }, "tls::all_threads_view::snapshot");
    return copies;
  }

  std::size_t size() const {
    std::size_t count = 0;
    required([&](auto &error) { count = size(error); }, "tls::all_threads_view::size");
    return count;
  }
#endif

 private:
  template <class F>
  struct visitor {
    F &f;
    std::exception_ptr thrown;
    const bool has_boxes;
    bool stopped;
  };

  /** By tls_for_each() or tls_for_each_locked(). */
  template <class F>
  void visit(int (*go_over)(tls_key_t, tls_visit_fn, void *), F &f, std::error_code &error) const {
    visitor<F> argument{f, nullptr, has_boxes_, false};
    const int code = go_over(values_, visit_one<F>, &argument);
    error = detail::code_of(code > 0 ? TLS_OK : code);
    detail::rethrow(argument.thrown);
  }

  /**
   * Calls nothing of the library: locks may be held. Throws nothing, but is not noexcept: a thread that
   * is ended in f unwinds through it.
   */
  template <class F>
  static int visit_one(void *entry, std::uint64_t thread, void *argument) {
    auto &to = *static_cast<visitor<F> *>(argument);
    if (entry == nullptr) return 0;
    detail::handed_out(entry);
    T *const value = to.has_boxes ? detail::value_of<T>(entry) : static_cast<T *>(entry);
    to.stopped = !detail::guarded(to.thrown, [&] {
      if constexpr (std::is_invocable_v<F &, T &, std::uint64_t>) {
        to.f(*value, thread);
      } else {
        to.f(*value);
      }
    });
    // What its owner does with it next comes after the visit.
    detail::handed_in(entry);
    return to.stopped ? 1 : 0;
  }

#if TLS_PRIVATE_EXCEPTIONS
  template <class Work>
  static void required(Work work, const char *function) {
    std::error_code error;
    work(error);
    detail::require(error, function,
                    {{errc::invalid, "not enumerable: make the object with options::enumerable()"},
                     {errc::busy, "another thread clears or takes the values: try again"},
                     {errc::reentrant, "not inside for_each_locked(), nor in a memory allocator"}});
  }
#endif

  tls_key_t values_;
  bool has_boxes_;
};

}  // namespace TLS_PRIVATE_MODE
}  // namespace tls

#endif
