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

/** The return type of the deleted begin() and end(). Compilers print its name in their message. */
struct there_are_no_iterators_use_for_each_or_iterate_over_snapshot;

}  // namespace detail

/**
 * A view of all threads' values of one object, which was made with options::enumerable().
 *
 *     long total = hits.all_threads().reduce(0L, [](long n, counter &c) { return n + c.load(); });
 *     for (const sample &each : samples.all_threads().snapshot()) print(each);
 *
 * A visit passes each value to a function, and *no value is destroyed while a function that it was
 * passed to runs*. So a reference to the value is valid inside the function, and invalid after it:
 * return copies and not addresses. There are no iterators over the values themselves, because the
 * value that an iterator refers to could be destroyed at any time. There are iterators over copies:
 * see snapshot().
 *
 * No thread waits for a visit, except with for_each_locked(). During a visit, threads can make,
 * replace and remove values, and can end. A value that its thread removes or replaces while it is
 * visited is destroyed after the visit. A thread that has a value during the whole visit is visited
 * once, even if it replaces the value. Values that are set or removed during the visit may be
 * visited or not. The library does not synchronise access to the contents of values, which their
 * threads may be using: use atomics or a mutex.
 *
 * Any thread may visit, and several threads may visit at once. A view may be kept: it can be
 * copied, and it may outlive its object.
 *
 * The member functions fail with:
 * - errc::invalid: the object was made without options::enumerable()
 * - errc::busy: another thread clears or takes the values; try again
 * - errc::dead_key: the object was destroyed
 * - errc::bad_key: the object was moved from, or could not be made
 * - errc::limit: 1,022 threads are visiting the values of this object
 * - errc::reentrant: called inside for_each_locked(), or by the memory allocator
 * - errc::no_memory: memory could not be allocated
 * - errc::exiting: the thread is past its last cleanup
 *
 * @tparam T The type of the values.
 */
template <class T>
class all_threads_view {
 public:
  /**
   * Makes a view of the values of a key. Programs call the member function all_threads() of an
   * object instead.
   *
   * @param values The key of the object.
   * @param has_boxes Whether values of the key may have deleters of their own, as those of a
   *   thread_local_ptr.
   */
  explicit all_threads_view(tls_key_t values, bool has_boxes = false) noexcept
      : values_(values), has_boxes_(has_boxes) {}

  /**
   * Calls `f` with each value. If `f` throws, it is not called again, and the caller receives the
   * exception.
   *
   * @tparam F A function that is called as `f(T &)` or as `f(T &, std::uint64_t)`.
   * @param f The function. Its second argument is the operating system's number of the thread that
   *   has the value.
   * @param[out] error The error if the call fails; cleared otherwise.
   */
  template <class F>
  void for_each(F &&f, std::error_code &error) const {
    visit(tls_for_each, f, error);
  }

  /**
   * Calls `f` with all values as they are at one instant. Use it for a sum that must be exact. From
   * the first call of `f` to the last, no value of the object is set, replaced or removed, and no
   * thread that has a value ends: threads that try wait. A get() that finds a value does not wait.
   * Access to the contents of values is not synchronised. If another thread is inside this
   * function, for any object, the call waits for it.
   *
   * Locks are held while `f` runs. So `f` should be short, and must not wait for a thread that may
   * be inside this library. It may read values that its thread already has, of this object or of
   * others, by get(), get_existing(), `*` and `->`. Functions that set, visit or clear values, or
   * that would make one, fail with errc::reentrant. Functions that report no errors, such as
   * expunge() and reset(), have no effect. `f` must not make or destroy objects. A function that
   * needs to do more can be passed to for_each().
   *
   * If `f` throws, it is not called again. The caller receives the exception after the locks are
   * released.
   *
   * @tparam F A function that is called as `f(T &)` or as `f(T &, std::uint64_t)`.
   * @param f The function. Its second argument is the operating system's number of the thread that
   *   has the value.
   * @param[out] error The error if the call fails; cleared otherwise.
   */
  template <class F>
  void for_each_locked(F &&f, std::error_code &error) const {
    visit(tls_for_each_locked, f, error);
  }

  /**
   * Computes `result = f(result, value)` for each value. If `f` throws, it is not called again, and
   * the caller receives the exception.
   *
   * @tparam Result The type of the result.
   * @tparam F A function that is called as `f(Result, T &)`.
   * @param result The first result.
   * @param f The function.
   * @param[out] error The error if the call fails; cleared otherwise.
   * @return The last result. After an error, or if no thread has a value, the first one.
   */
  template <class Result, class F>
  Result reduce(Result result, F f, std::error_code &error) const {
    for_each([&](T &value) { result = f(std::move(result), value); }, error);
    return result;
  }

  /**
   * Calls `f` with each value, and collects the results. If `f` throws, it is not called again, and
   * the caller receives the exception.
   *
   * @tparam F A function that is called as `f(T &)`. It must not return a pointer to the value.
   * @param f The function.
   * @param[out] error The error if the call fails; cleared otherwise.
   * @return A std::vector of the results; empty after an error.
   */
  template <class F>
  auto collect(F f, std::error_code &error) const {
    std::vector<std::decay_t<std::invoke_result_t<F &, T &>>> results;
    static_assert(!std::is_same_v<std::decay_t<std::invoke_result_t<F &, T &>>, T *>,
                  "a pointer to a value is good only while it is visited");
    for_each([&](T &value) { results.push_back(f(value)); }, error);
    return results;
  }

  /**
   * Copies all values. T must be copy-constructible.
   *
   * @param[out] error The error if the call fails; cleared otherwise.
   * @return A std::vector of the copies; empty after an error.
   */
  auto snapshot(std::error_code &error) const {
    static_assert(std::is_copy_constructible_v<T>,
                  "a snapshot is made of copies, and these values can't be copied: use collect(f), "
                  "with what f makes of each, or for_each(f)");
    return collect([](const T &value) -> T { return value; }, error);
  }

  /**
   * Counts the threads that have a value, by visiting each value.
   *
   * @param[out] error The error if the call fails; cleared otherwise.
   * @return The number of threads; 0 after an error.
   */
  std::size_t size(std::error_code &error) const {
    std::size_t count = 0;
    for_each([&](T &) { count++; }, error);
    return error ? 0 : count;
  }

  // There are no iterators over values: use for_each(f), or iterate over snapshot().
  detail::there_are_no_iterators_use_for_each_or_iterate_over_snapshot *begin() const =
      TLS_PRIVATE_DELETED("a value can end meanwhile: use for_each(f), or iterate over snapshot()");
  detail::there_are_no_iterators_use_for_each_or_iterate_over_snapshot *end() const =
      TLS_PRIVATE_DELETED("a value can end meanwhile: use for_each(f), or iterate over snapshot()");

#if TLS_PRIVATE_EXCEPTIONS
  /**
   * Calls `f` with each value. If `f` throws, it is not called again, and the caller receives the
   * exception.
   *
   * @tparam F A function that is called as `f(T &)` or as `f(T &, std::uint64_t)`.
   * @param f The function. Its second argument is the operating system's number of the thread that
   *   has the value.
   * @throws std::system_error with one of the errors of this class.
   */
  template <class F>
  void for_each(F &&f) const {
    required([&](auto &error) { for_each(f, error); }, "tls::all_threads_view::for_each");
  }

  /**
   * Calls `f` with all values as they are at one instant, like the overload with a std::error_code.
   *
   * @tparam F A function that is called as `f(T &)` or as `f(T &, std::uint64_t)`.
   * @param f The function. Its second argument is the operating system's number of the thread that
   *   has the value.
   * @throws std::system_error with one of the errors of this class.
   */
  template <class F>
  void for_each_locked(F &&f) const {
    required([&](auto &error) { for_each_locked(f, error); },
             "tls::all_threads_view::for_each_locked");
  }

  /**
   * Computes `result = f(result, value)` for each value. If `f` throws, it is not called again, and
   * the caller receives the exception.
   *
   * @tparam Result The type of the result.
   * @tparam F A function that is called as `f(Result, T &)`.
   * @param result The first result.
   * @param f The function.
   * @return The last result; the first one if no thread has a value.
   * @throws std::system_error with one of the errors of this class.
   */
  template <class Result, class F>
  Result reduce(Result result, F f) const {
    required([&](auto &error) { result = reduce(std::move(result), std::move(f), error); },
             "tls::all_threads_view::reduce");
    return result;
  }

  /**
   * Calls `f` with each value, and collects the results. If `f` throws, it is not called again, and
   * the caller receives the exception.
   *
   * @tparam F A function that is called as `f(T &)`. It must not return a pointer to the value.
   * @param f The function.
   * @return A std::vector of the results.
   * @throws std::system_error with one of the errors of this class.
   */
  template <class F>
  auto collect(F f) const {
    std::error_code error;
    auto results = collect(std::move(f), error);
    required([&](auto &answer) { answer = error; }, "tls::all_threads_view::collect");
    return results;
  }

  /**
   * Copies all values. T must be copy-constructible.
   *
   * @return A std::vector of the copies.
   * @throws std::system_error with one of the errors of this class.
   */
  auto snapshot() const {
    std::error_code error;
    auto copies = snapshot(error);
    required([&](auto &answer) { answer = error; }, "tls::all_threads_view::snapshot");
    return copies;
  }

  /**
   * Counts the threads that have a value, by visiting each value.
   *
   * @return The number of threads.
   * @throws std::system_error with one of the errors of this class.
   */
  std::size_t size() const {
    std::size_t count = 0;
    required([&](auto &error) { count = size(error); }, "tls::all_threads_view::size");
    return count;
  }
#endif

 private:
  /** The argument of the C library's visit callback. */
  template <class F>
  struct visitor {
    F &f;
    std::exception_ptr thrown;
    const bool has_boxes;
    bool stopped;
  };

  /** Visits all values by `go_over`, which is tls_for_each() or tls_for_each_locked(). */
  template <class F>
  void visit(int (*go_over)(tls_key_t, tls_visit_fn, void *), F &f, std::error_code &error) const {
    visitor<F> argument{f, nullptr, has_boxes_, false};
    const int code = go_over(values_, visit_one<F>, &argument);
    error = detail::code_of(code > 0 ? TLS_OK : code);
    detail::rethrow(argument.thrown);
  }

  /**
   * The C library's visit callback. It calls no function of the library, because locks may be held.
   * It throws no exception, but it is not noexcept: if a thread is cancelled or calls
   * pthread_exit() inside `f`, the stack is unwound through this function.
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
    // For the thread sanitizer: later accesses by the owner come after the visit.
    detail::handed_in(entry);
    return to.stopped ? 1 : 0;
  }

#if TLS_PRIVATE_EXCEPTIONS
  /** Calls `work` with a std::error_code, and throws the error if there is one. */
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
