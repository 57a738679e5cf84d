/*
 * All threads' values of one object.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef THREADLOCALMAP_ALL_THREADS_HPP
#define THREADLOCALMAP_ALL_THREADS_HPP

#include "box.hpp"
#include "key.hpp"

#include <cstdint>
#include <exception>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <vector>

namespace tls {
inline namespace TLS_PRIVATE_MODE {

/**
 * All threads' values of an object that was made with options::enumerable().
 *
 *     long total = hits.all_threads().reduce(0L, [](long sum, counter &c) { return sum + c.load(); });
 *
 * It hands each value to a function, and has no iterators, for the sake of this promise: *a value
 * is not destroyed while the function that it was handed to runs*. An iterator would have to keep
 * that promise from one call to the next, and the one who kept one too long would keep a dead value.
 * So a reference is good inside of the function. Take copies out, never addresses.
 *
 * No thread waits for a visit, and none is held up by one: they go on making, replacing and
 * removing values, and ending. A value that its thread gives up while it is visited ends after the
 * visit. Values that come or go meanwhile may be met or not; one that stays is met once. The values'
 * own contents are yours to guard: their threads are using them. Let them be atomics, or have a
 * mutex.
 *
 * The view itself is two numbers, and may be kept: when its object is gone, asking it for anything
 * is errc::dead_key.
 */
template <class T>
class all_threads_view {
 public:
  explicit all_threads_view(tls_key_t values, const detail::boxes<T> *boxes = nullptr) noexcept
      : values_(values), boxes_(boxes) {}

  /**
   * Calls f with each value, as f(T &) or as f(T &, std::uint64_t thread), where `thread` is the
   * operating system's number of the thread that has it. When f throws, that is the last call of
   * it, and the exception comes out here.
   */
  template <class F>
  void for_each(F &&f, std::error_code &error) const {
    std::exception_ptr thrown;
    std::unordered_set<std::uint64_t> met;
    visit<values_are_plain>(values_, f, boxes_ != nullptr ? &met : nullptr, thrown, error);
    // Looked at now: the first box may have been made meanwhile. After an error: the object is gone.
    const bool has_boxes = boxes_ != nullptr && !error;
    const tls_key_t boxes = has_boxes ? boxes_->handle() : TLS_KEY_NONE;
    if (!error && !thrown && boxes != TLS_KEY_NONE) {
      visit<values_are_boxed>(boxes, f, &met, thrown, error);
    }
    if (!error && !thrown && boxes != TLS_KEY_NONE) {
      // A thread that had a box, and has none any more, has a plain value.
      visit<values_are_plain>(values_, f, &met, thrown, error);
    }
    detail::rethrow(thrown);
  }

  /** result = f(result, value) for each value; the last result. */
  template <class Result, class F>
  Result reduce(Result result, F f, std::error_code &error) const {
    for_each([&](T &value) { result = f(std::move(result), value); }, error);
    return result;
  }

  /** What f makes of each value, copied. */
  template <class F>
  auto collect(F f, std::error_code &error) const {
    std::vector<std::decay_t<std::invoke_result_t<F &, T &>>> results;
    static_assert(!std::is_same_v<std::decay_t<std::invoke_result_t<F &, T &>>, T *>,
                  "a pointer to a value is good only while it is visited");
    for_each([&](T &value) { results.push_back(f(value)); }, error);
    return results;
  }

#if TLS_PRIVATE_EXCEPTIONS
  template <class F>
  void for_each(F &&f) const {
    std::error_code error;
    for_each(f, error);
    detail::require(error, "tls::all_threads_view");
  }

  template <class Result, class F>
  Result reduce(Result result, F f) const {
    for_each([&](T &value) { result = f(std::move(result), value); });
    return result;
  }

  template <class F>
  auto collect(F f) const {
    std::error_code error;
    auto results = collect(std::move(f), error);
    detail::require(error, "tls::all_threads_view");
    return results;
  }
#endif

 private:
  static T *values_are_plain(void *value) noexcept { return static_cast<T *>(value); }

  static T *values_are_boxed(void *value) noexcept {
    return static_cast<detail::box<T> *>(value)->value;
  }

  template <class F>
  struct visitor {
    F &f;
    std::unordered_set<std::uint64_t> *met;
    std::exception_ptr &thrown;
    bool stopped;
  };

  /* What tells the value's owner apart: its thread; of a map that no thread has, its value. */
  static std::uint64_t owner_of(void *value, std::uint64_t thread) noexcept {
    return thread != 0 ? thread : static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(value));
  }

  template <T *(*Find)(void *) noexcept, class F>
  static void visit(tls_key_t key, F &f, std::unordered_set<std::uint64_t> *met,
                    std::exception_ptr &thrown, std::error_code &error) {
    visitor<F> argument{f, met, thrown, false};
    error = detail::code_of(tls_for_each(key, visit_one<Find, F>, &argument));
  }

  template <T *(*Find)(void *) noexcept, class F>
  static void visit_one(void *value, std::uint64_t thread, void *argument) noexcept {
    auto &to = *static_cast<visitor<F> *>(argument);
    if (value == nullptr || to.stopped) return;
    detail::handed_out(value);
    to.stopped = !detail::guarded(to.thrown, [&] {
      if (to.met != nullptr && !to.met->insert(owner_of(value, thread)).second) return;
      if constexpr (std::is_invocable_v<F &, T &, std::uint64_t>) {
        to.f(*Find(value), thread);
      } else {
        to.f(*Find(value));
      }
    });
    // What its owner does with it next comes after the visit.
    detail::handed_in(value);
  }

  tls_key_t values_;
  const detail::boxes<T> *boxes_;
};

}  // namespace TLS_PRIVATE_MODE
}  // namespace tls

#endif
