/**
 * @file
 * threadlocalmap/all_threads.hpp - all threads' values of one object.
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

/** The name tells what to use: it is in the compiler's message. */
struct there_are_no_iterators_use_for_each_or_iterate_over_snapshot;

}  // namespace detail

/**
 * All threads' values of an object that was made with options::enumerable().
 *
 *     long total = hits.all_threads().reduce(0L, [](long n, counter &c) { return n + c.load(); });
 *     for (const sample &each : samples.all_threads().snapshot()) print(each);
 *
 * Each value is passed to a function, and *a value is not destroyed while the function that it was
 * passed to runs*. So a reference is valid inside the function. Return copies, and not addresses.
 * There are no iterators over the values themselves, because an iterator that is kept would refer
 * to a destroyed value; there are iterators over copies (snapshot()).
 *
 * No thread waits for a visit, except with for_each_locked(): threads make, replace and remove
 * values meanwhile, and end. A value that its thread gives up while it is visited is destroyed
 * after the visit. A thread that has a value during the whole visit is visited once, even if it
 * replaces the value. Values that are set or removed meanwhile may be visited or not. The library
 * does not synchronise access to the contents of values, which their threads may be using: use
 * atomics or a mutex.
 *
 * Any thread may visit, and several may at once. While another thread clears the object, the visit
 * fails with errc::busy: try again. The view may be kept. When its object has ended, its functions
 * fail with errc::dead_key.
 */
template <class T>
class all_threads_view {
 public:
  /** has_boxes says whether values may have deleters of their own. */
  explicit all_threads_view(tls_key_t values, bool has_boxes = false) noexcept
      : values_(values), has_boxes_(has_boxes) {}

  /**
   * Calls f with each value, as f(T &) or as f(T &, std::uint64_t thread). `thread` is the
   * operating system's number of the thread that has the value. If f throws, f is not called again,
   * and the exception is thrown to the caller.
   */
  template <class F>
  void for_each(F &&f, std::error_code &error) const {
    visit(tls_for_each, f, error);
  }

  /**
   * Calls f with all values as they are at one instant. Use it for a sum that must be exact. From
   * the first call of f to the last, no value of the object is set, replaced or removed, and no
   * thread that has one ends: threads that try wait. A get() that finds a value does not wait.
   * Access to the contents of values is not synchronised. While another thread is inside this
   * function, for any object, it waits.
   *
   * Locks are held while f runs, so f should be short, and must not wait for a thread that may be
   * inside this library. f may read values that its thread has already, of this object or others,
   * by get(), get_existing(), * and ->. Functions that set, visit, clear, or would make a value
   * fail with errc::reentrant; functions that report no errors, such as expunge() and reset(), have
   * no effect. f must neither make nor destroy objects. If it needs more, use for_each().
   *
   * If f throws, f is not called again, and the exception is thrown to the caller, with no lock
   * held.
   */
  template <class F>
  void for_each_locked(F &&f, std::error_code &error) const {
    visit(tls_for_each_locked, f, error);
  }

  /** Computes result = f(result, value) for each value, and returns the last result. */
  template <class Result, class F>
  Result reduce(Result result, F f, std::error_code &error) const {
    for_each([&](T &value) { result = f(std::move(result), value); }, error);
    return result;
  }

  /** Returns the results of f for all values. */
  template <class F>
  auto collect(F f, std::error_code &error) const {
    std::vector<std::decay_t<std::invoke_result_t<F &, T &>>> results;
    static_assert(!std::is_same_v<std::decay_t<std::invoke_result_t<F &, T &>>, T *>,
                  "a pointer to a value is good only while it is visited");
    for_each([&](T &value) { results.push_back(f(value)); }, error);
    return results;
  }

  /** Returns copies of all values. */
  auto snapshot(std::error_code &error) const {
    static_assert(std::is_copy_constructible_v<T>,
                  "a snapshot is made of copies, and these values can't be copied: use collect(f), "
                  "with what f makes of each, or for_each(f)");
    return collect([](const T &value) -> T { return value; }, error);
  }

  /** Returns how many threads have a value, by visiting each; 0 also after an error. */
  std::size_t size(std::error_code &error) const {
    std::size_t count = 0;
    for_each([&](T &) { count++; }, error);
    return error ? 0 : count;
  }

  /** There are no iterators over values: use for_each(f), or iterate over snapshot(). */
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
