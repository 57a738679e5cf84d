/**
 * @file
 * threadlocalmap/tasks.hpp - scopes, contexts and tasks.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef THREADLOCALMAP_TASKS_HPP
#define THREADLOCALMAP_TASKS_HPP

#include "key.hpp"
#include "same_thread.hpp"

#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace tls {
inline namespace TLS_PRIVATE_MODE {

/**
 * Copies of the calling thread's values of all objects with options::inherited(), for a task. A
 * context can be moved. It does not depend on the thread that captured it. The copies are destroyed
 * with it, on the thread that destroys it.
 */
class context {
 public:
#if TLS_PRIVATE_EXCEPTIONS
  /** Captures. Throws std::system_error; errc::init if a copy could not be made. */
  context() {
    std::error_code error;
    capture(error);
    detail::require(error, "tls::context", {{errc::init, "a value could not be copied"}});
  }
#endif

  /** Captures; after an error the context is empty. */
  explicit context(std::error_code &error) noexcept { capture(error); }

  context(context &&other) noexcept : captured_(std::exchange(other.captured_, nullptr)) {}

  context &operator=(context &&other) noexcept {
    context(std::move(other)).swap(*this);
    return *this;
  }

  ~context() { tls_context_free(captured_); }

  void swap(context &other) noexcept { std::swap(captured_, other.captured_); }

  tls_context_t *native_handle() const noexcept { return captured_; }

 private:
  void capture(std::error_code &error) noexcept {
    error = detail::code_of(tls_context_capture(&captured_));
    if (!error) detail::handed_in(captured_);
  }

  tls_context_t *captured_ = nullptr;
};

/**
 * A span of time on the calling thread. Values set inside a scope are destroyed when it closes;
 * values they shadowed become visible again. Outer values are visible inside. If there is a
 * context, its values shadow the outer values of inherited objects. Scopes do not affect objects
 * with options::worker(). Scopes can be nested.
 *
 * A scope must end on the thread that it began on or, if it began in a tls::map, on the thread that
 * is in that map. On another thread it can't end: the destructor reports this on stderr and changes
 * nothing, and without NDEBUG it calls std::terminate(). end() reports it as an error. (A scope
 * that began in a map may be left open: the map ends it.)
 */
class scope {
 public:
#if TLS_PRIVATE_EXCEPTIONS
  scope() {
    std::error_code error;
    begin(nullptr, error);
    detail::require(error, "tls::scope");
  }

  /** Throws errc::init if a value could not be copied. */
  explicit scope(const context &along) {
    std::error_code error;
    begin(along.native_handle(), error);
    detail::require(error, "tls::scope", {{errc::init, "a value could not be copied"}});
  }
#endif

  /** After an error there is no scope. */
  explicit scope(std::error_code &error) noexcept { begin(nullptr, error); }

  scope(const context &along, std::error_code &error) noexcept {
    begin(along.native_handle(), error);
  }

  scope(const scope &) = delete;
  scope &operator=(const scope &) = delete;

  /** Ends the scope, unless a scope of the C functions is still open inside. */
  ~scope() {
    std::error_code error;
    end(error);
    if (error == errc::invalid && !in_map_ && !thread_.is_this()) detail::ends_elsewhere("tls::scope");
  }

  /**
   * Ends the scope before the end of the block. It fails with errc::busy if a scope that was begun
   * later is still open, and with errc::invalid if it is not open in the calling thread's map,
   * because it is in another map or has ended. After an error nothing has changed. The second call
   * has no effect.
   */
  void end(std::error_code &error) noexcept {
    error = open_ ? detail::code_of(tls_scope_end(scope_)) : std::error_code();
    if (!error) open_ = false;
  }

#if TLS_PRIVATE_EXCEPTIONS
  void end() {
    std::error_code error;
    end(error);
    detail::require(error, "tls::scope::end",
                    {{errc::busy, "a scope that was begun later is open still"},
                     {errc::invalid, "on another thread than it began on, or ended with its thread"}});
  }
#endif

 private:
  void begin(tls_context_t *along, std::error_code &error) noexcept {
    if (along != nullptr) detail::handed_out(along);
    error = detail::code_of(tls_scope_begin(&scope_, along));
    open_ = !error;
    in_map_ = open_ && tls_map_current() != nullptr;
  }

  detail::same_thread thread_;
  tls_scope_t scope_ = 0;
  bool open_ = false;
  bool in_map_ = false;
};

namespace detail {

/** A result, or the exception in its place. */
template <class Result>
class outcome {
 public:
  template <class Work>
  void set(Work &&work) {
    if constexpr (std::is_void_v<Result>) {
      work();
    } else if constexpr (std::is_reference_v<Result>) {
      result_.emplace(std::addressof(work()));
    } else {
      result_.emplace(work());
    }
  }

  Result get() {
    if constexpr (std::is_reference_v<Result>) {
      return static_cast<Result>(**result_);
    } else if constexpr (!std::is_void_v<Result>) {
      return std::move(*result_);
    }
  }

 private:
  using stored = std::conditional_t<
      std::is_void_v<Result>, char,
      std::conditional_t<std::is_reference_v<Result>, std::remove_reference_t<Result> *, Result>>;
  std::optional<stored> result_;
};

/** The function of a task, and who waits for it. Stays where it is. */
template <class F>
struct work {
  explicit work(F &&function) : f(std::move(function)) {}

  F f;
  void (*invoke)(void *call, F &f) = nullptr;
  void *call = nullptr;

  static void run(void *argument) {
    auto *const self = static_cast<work *>(argument);
    self->invoke(self->call, self->f);
  }
};

}  // namespace detail

/**
 * A function as a task of a pool. It is made on the submitting thread, whose context it captures.
 * It is called once, on any thread: there it runs in a scope with that context, and expunges at the
 * end. So the worker's values are the same after it as before it.
 *
 *     pool.submit(tls::task([=] { return handle(request); }));
 *
 * It takes any callable, also one that can only be moved, and has its arguments, its result and its
 * exceptions. It can be moved and not copied: std::thread, std::async and std::packaged_task take
 * it. For a std::function, use tls::shared_task. A task that is never called is destroyed with its
 * context.
 */
template <class F>
class task {
 public:
#if TLS_PRIVATE_EXCEPTIONS
  explicit task(F f) {
    std::error_code error;
    make(std::move(f), error);
    detail::require(error, "tls::task", {{errc::init, "a value could not be copied"}});
  }
#endif

  /** After an error the task is empty. */
  task(F f, std::error_code &error) { make(std::move(f), error); }

  task(task &&other) noexcept
      : work_(std::move(other.work_)), native_(std::exchange(other.native_, nullptr)) {}

  task &operator=(task &&other) noexcept {
    task(std::move(other)).swap(*this);
    return *this;
  }

  ~task() { tls_task_cancel(native_); }

  void swap(task &other) noexcept {
    std::swap(work_, other.work_);
    std::swap(native_, other.native_);
  }

  /** Returns whether it can still be called. */
  explicit operator bool() const noexcept { return native_ != nullptr; }

  /**
   * Calls the function. The second call, and a call of an empty task, throw errc::invalid; without
   * exceptions they terminate the program.
   */
  template <class... Arguments>
  std::invoke_result_t<F, Arguments...> operator()(Arguments &&...arguments) {
    if (native_ == nullptr) refuse();
    detail::handed_out(native_);
    auto call = [&](F &f) -> decltype(auto) {
      return std::invoke(std::move(f), std::forward<Arguments>(arguments)...);
    };
    using Call = call_of<decltype(call), std::invoke_result_t<F, Arguments...>>;
    Call waiting{call, {}, nullptr};
    work_->call = &waiting;
    work_->invoke = Call::run;
    tls_task_run(std::exchange(native_, nullptr));
    detail::rethrow(waiting.thrown);
    return waiting.result.get();
  }

 private:
  template <class Callable, class Result>
  struct call_of {
    Callable &callable;
    detail::outcome<Result> result;
    std::exception_ptr thrown;

    static void run(void *argument, F &f) {
      auto *const self = static_cast<call_of *>(argument);
      detail::guarded(self->thrown, [&] {
        self->result.set([&]() -> Result { return self->callable(f); });
      });
    }
  };

  void make(F &&f, std::error_code &error) {
    work_.reset(new (std::nothrow) detail::work<F>(std::move(f)));
    if (work_ == nullptr) {
      error = make_error_code(errc::no_memory);
      return;
    }
    error = detail::code_of(tls_task_create(&native_, detail::work<F>::run, work_.get()));
    if (!error) detail::handed_in(native_);
  }

  [[noreturn]] static void refuse() {
#if TLS_PRIVATE_EXCEPTIONS
    detail::fail(make_error_code(errc::invalid), "tls::task::operator()",
                 "called already, or moved from");
#else
    std::terminate();
#endif
  }

  std::unique_ptr<detail::work<F>> work_;
  tls_task_t *native_ = nullptr;
};

}  // namespace TLS_PRIVATE_MODE
}  // namespace tls

#endif
