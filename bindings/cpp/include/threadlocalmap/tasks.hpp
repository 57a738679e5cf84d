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
 * Copies of the calling thread's values of all objects with options::inherited(), for a task. The
 * copies do not depend on the thread that captured them. They are destroyed with the context, on
 * the thread that destroys it.
 *
 * A context can be moved and swapped, and cannot be copied. An object that was moved from has no
 * context: a scope with it is a scope without a context.
 */
class context {
 public:
#if TLS_PRIVATE_EXCEPTIONS
  /**
   * Captures copies of the calling thread's inherited values.
   *
   * @throws std::system_error with errc::init if a value could not be copied, with errc::no_memory,
   *   with errc::exiting if the thread is past its last cleanup, and with errc::limit if a key has
   *   4,194,303 references.
   */
  context() {
    std::error_code error;
    capture(error);
    detail::require(error, "tls::context", {{errc::init, "a value could not be copied"}});
  }
#endif

  /**
   * Captures copies of the calling thread's inherited values. After an error the context is empty.
   *
   * @param[out] error The error if the call fails; cleared otherwise.
   */
  explicit context(std::error_code &error) noexcept { capture(error); }

  /**
   * Moves a context.
   *
   * @param other The object to move from.
   */
  context(context &&other) noexcept : captured_(std::exchange(other.captured_, nullptr)) {}

  /**
   * Moves a context. The copies that this object had are destroyed.
   *
   * @param other The object to move from.
   * @return This object.
   */
  context &operator=(context &&other) noexcept {
    context moved(std::move(other));
    moved.swap(*this);
    return *this;
  }

  /** Destroys the context and its copies. */
  ~context() { tls_context_free(captured_); }

  /**
   * Exchanges two contexts.
   *
   * @param other The object to exchange with.
   */
  void swap(context &other) noexcept { std::swap(captured_, other.captured_); }

  /**
   * Returns the context, for C functions such as tls_scope_begin().
   *
   * @return The context; null if it is empty.
   */
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
 * values they shadowed become visible again. Outer values are visible inside. If the scope has a
 * context, the values of the context shadow the outer values of the same objects, and outer values
 * of other objects with options::inherited() are not visible. Scopes do not affect objects with
 * options::worker(). Scopes can be nested, and must be closed in the reverse order. A scope cannot
 * be copied or moved.
 *
 * A scope must be closed on the thread that opened it. If it was opened in a tls::map, it must be
 * closed on the thread that is in that map. On another thread it cannot be closed: the destructor
 * reports the mistake on stderr and changes nothing, and without NDEBUG it calls std::terminate().
 * end() reports it as an error. A scope that was opened in a map may be left open: it is closed
 * when the map is destroyed. So no mistake is reported if a scope is destroyed where the map that
 * it was opened in, or the thread's own map, is not the current one, or before an inner scope: it
 * stays open until the thread or the map ends.
 */
class scope {
 public:
#if TLS_PRIVATE_EXCEPTIONS
  /**
   * Opens a scope.
   *
   * @throws std::system_error with errc::no_memory, with errc::exiting if the thread is past its
   *   last cleanup, and with errc::limit if 65,534 scopes are open.
   */
  scope() {
    std::error_code error;
    begin(nullptr, error);
    detail::require(error, "tls::scope");
  }

  /**
   * Opens a scope in which the values of a context are visible. The context is unchanged and can be
   * used again.
   *
   * @param along The context.
   * @throws std::system_error with errc::init if a value could not be copied, with errc::no_memory,
   *   with errc::exiting if the thread is past its last cleanup, and with errc::limit if 65,534
   *   scopes are open.
   */
  explicit scope(const context &along) {
    std::error_code error;
    begin(along.native_handle(), error);
    detail::require(error, "tls::scope", {{errc::init, "a value could not be copied"}});
  }
#endif

  /**
   * Opens a scope. After an error no scope is open.
   *
   * @param[out] error The error if the call fails; cleared otherwise.
   */
  explicit scope(std::error_code &error) noexcept { begin(nullptr, error); }

  /**
   * Opens a scope in which the values of a context are visible. After an error no scope is open.
   *
   * @param along The context.
   * @param[out] error The error if the call fails; cleared otherwise.
   */
  scope(const context &along, std::error_code &error) noexcept {
    begin(along.native_handle(), error);
  }

  scope(const scope &) = delete;
  scope &operator=(const scope &) = delete;

  /** Closes the scope, unless a scope that was opened later is still open. */
  ~scope() {
    std::error_code error;
    end(error);
    if (error == errc::invalid && !in_map_ && !thread_.is_this()) {
      detail::ends_elsewhere("tls::scope");
    }
  }

  /**
   * Closes the scope before the end of the block. After an error nothing has changed. A second call
   * has no effect.
   *
   * It fails with errc::busy if a scope that was opened later is still open. It fails with
   * errc::invalid if the scope is not open in the map that the calling thread is in.
   *
   * @param[out] error The error if the call fails; cleared otherwise.
   */
  void end(std::error_code &error) noexcept {
    error = open_ ? detail::code_of(tls_scope_end(scope_)) : std::error_code();
    if (!error) open_ = false;
  }

#if TLS_PRIVATE_EXCEPTIONS
  /**
   * Closes the scope before the end of the block. If the function throws, nothing has changed. A
   * second call has no effect.
   *
   * @throws std::system_error with errc::busy if a scope that was opened later is still open, and
   *   with errc::invalid if the scope is not open in the map that the calling thread is in.
   */
  void end() {
    std::error_code error;
    end(error);
    detail::require(
        error, "tls::scope::end",
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

/** The result of a call, which may be void or a reference. */
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

/** The function of a task, and the call that waits for its result. It keeps its address. */
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

/** The call of a task that was called already, or moved from. */
[[noreturn]] inline void refuse_call() {
#if TLS_PRIVATE_EXCEPTIONS
  fail(make_error_code(errc::invalid), "tls::task::operator()", "called already, or moved from");
#else
  std::terminate();
#endif
}

}  // namespace detail

/**
 * A function as a task of a pool. The thread that submits the task makes it, and captures a context
 * for it. Any thread may call it, once. The function runs in a scope with that context, and the
 * thread expunges after it. So the thread that calls the task has the same values after it as
 * before it.
 *
 *     pool.submit(tls::task([=] { return handle(request); }));
 *
 * A task takes any callable, including one that can only be moved. It takes the arguments of the
 * callable, returns its result and throws its exceptions. A task can be moved and swapped, and
 * cannot be copied. std::thread, std::async and std::packaged_task take it. For a std::function,
 * use tls::shared_task. If a task is never called, its function and its context are destroyed with
 * it. The function must not destroy its own task. Its result may be void, an lvalue reference, or
 * an object that can be moved.
 *
 * @tparam F The type of the function.
 */
template <class F>
class task {
 public:
#if TLS_PRIVATE_EXCEPTIONS
  /**
   * Makes a task of a function, with a context of the calling thread.
   *
   * @param f The function.
   * @throws std::system_error with errc::init if a value could not be copied, with errc::no_memory,
   *   with errc::exiting if the thread is past its last cleanup, and with errc::limit if a key has
   *   4,194,303 references.
   */
  explicit task(F f) {
    std::error_code error;
    make(std::move(f), error);
    detail::require(error, "tls::task", {{errc::init, "a value could not be copied"}});
  }
#endif

  /**
   * Makes a task of a function, with a context of the calling thread. After an error the task is
   * empty.
   *
   * @param f The function.
   * @param[out] error The error if the call fails; cleared otherwise.
   */
  task(F f, std::error_code &error) { make(std::move(f), error); }

  /**
   * Moves a task.
   *
   * @param other The task to move from, which is empty after that.
   */
  task(task &&other) noexcept
      : work_(std::move(other.work_)), native_(std::exchange(other.native_, nullptr)) {}

  /**
   * Moves a task. The task that this object had is destroyed without a call.
   *
   * @param other The task to move from, which is empty after that.
   * @return This task.
   */
  task &operator=(task &&other) noexcept {
    task(std::move(other)).swap(*this);
    return *this;
  }

  /** Destroys the task. If it was not called, its context is destroyed. */
  ~task() { tls_task_cancel(native_); }

  /**
   * Exchanges two tasks.
   *
   * @param other The task to exchange with.
   */
  void swap(task &other) noexcept {
    std::swap(work_, other.work_);
    std::swap(native_, other.native_);
  }

  /**
   * Returns whether the task can be called.
   *
   * @return True if the task was not called yet and is not empty.
   */
  explicit operator bool() const noexcept { return native_ != nullptr; }

  /**
   * Calls the function in a scope with the context of the task, and expunges. The second call, and
   * a call of an empty task, are errors; without exceptions they terminate the program.
   *
   * @tparam Arguments The types of the arguments.
   * @param arguments The arguments.
   * @return The result of the function.
   * @throws std::system_error with errc::invalid if the task was called before, or is empty; and
   *   what the function throws.
   */
  template <class... Arguments>
  std::invoke_result_t<F, Arguments...> operator()(Arguments &&...arguments) {
    if (native_ == nullptr) detail::refuse_call();
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

  std::unique_ptr<detail::work<F>> work_;
  tls_task_t *native_ = nullptr;
};

}  // namespace TLS_PRIVATE_MODE
}  // namespace tls

#endif
