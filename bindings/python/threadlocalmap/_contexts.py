# SPDX-License-Identifier: MIT OR Apache-2.0
"""Contexts and tasks: the objects that a task gets from the code that submits it.

Problem: a worker of a pool, or a task that was made elsewhere, does not have the values of its submitter.

Idea: a Context is a context of the library: copies of the values of copy= keys, made by `copy` on the thread
that captures them. It may be used any number of times, also by several threads at the same time; each time a
scope begins with copies of the copies. A task() runs once, and gets the captured objects themselves.

Invariants: the library's context is freed once, by the thread that closes it or, if other threads are
beginning scopes with it at that moment, by the last of them. A thread that begins a scope first adds itself to
the users, and then checks that the context is open. A thread that closes the context first removes its address,
and then checks whether there are users.
"""

from __future__ import annotations

import functools
import inspect
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar, cast

from ._library import ERR_INVALID, POINTER, Error, check, library
from ._cleanup import expunge
from ._scopes import Scope
from ._strands import Strand, current, over
from ._values import call, perform_here

if TYPE_CHECKING:
    from typing_extensions import ParamSpec

    P = ParamSpec("P")
R = TypeVar("R")


class Context:
    """Copies of the current objects of copy= keys. Any thread may use them, any number of times:
    `context.run(function, argument)`, or `with Scope(context):`.
    """

    def __init__(self) -> None:
        self._here: list[int] = []  # its address, while it is open
        self._left: list[int] = []  # its address, if it was closed while it was in use
        self._users: list[None] = []
        address = POINTER()
        code, now = call(current().map(), library.tls_context_capture, address)
        now.finish()
        check(code)
        self._here.append(cast(int, address.value))
        try:
            now.fill()
        except BaseException:
            self.close()
            raise

    def run(self, function: Callable[P, R], /, *arguments: P.args, **named: P.kwargs) -> R:
        """Calls a function in a scope with copies of the captured objects, and expunges afterwards."""
        try:
            with Scope(self):
                return function(*arguments, **named)
        finally:
            expunge()

    def _enter(self, scope: Scope, strand: Strand, *, move: bool = False) -> None:
        self._users.append(None)
        try:
            if not self._here:
                raise Error(ERR_INVALID, "this context was closed")
            scope._begin(strand, self._here[0], move=move)
        finally:
            self._users.pop()
            self._free_left()

    def close(self) -> None:
        """Destroys the copies. Scopes that were begun with the context keep theirs."""
        try:
            self._left.append(self._here.pop())
        except IndexError:
            return
        self._free_left()

    def _free_left(self) -> None:
        if self._left and not self._users:
            try:
                address = self._left.pop()
            except IndexError:
                return
            perform_here(library.tls_context_free, address)

    def __enter__(self) -> Context:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    def __del__(self, over: list[None] = over) -> None:
        if not over:
            self.close()

    def __repr__(self) -> str:
        return f"<threadlocalmap.Context{'' if self._here else ' (closed)'}>"


def _refuse_generators(what: str, function: Callable[..., Any]) -> None:
    if not callable(function):
        raise TypeError(f"{what}() takes a function, and not {function!r}")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{what}() would be over before the first item of {function!r}: use threadlocalmap.generator")


def wrap(function: Callable[P, R]) -> Callable[P, R]:
    """Wraps a function for any number of calls: `pool.map(wrap(function), arguments)`.

    Each call runs in a scope of its own, with copies of the objects that copy= keys have where wrap() is
    called; after the call the thread expunges. Calls may run on any thread, and on several at the same time.
    Results and exceptions pass through. The result of a coroutine function may be awaited anywhere, or be
    passed to a task.
    """
    _refuse_generators("wrap", function)
    context = Context()

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def coroutine(*arguments: P.args, **named: P.kwargs) -> Any:
            try:
                with Scope(context):
                    return await function(*arguments, **named)
            finally:
                expunge()

        return cast("Callable[P, R]", coroutine)

    @functools.wraps(function)
    def call(*arguments: P.args, **named: P.kwargs) -> R:
        return context.run(function, *arguments, **named)

    return call


class _Once(Context):
    """A context that is used once: its objects are handed over and not copied again."""

    def _enter(self, scope: Scope, strand: Strand, *, move: bool = True) -> None:
        super()._enter(scope, strand, move=move)
        self.close()


class _Task:
    """See task()."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._context = [_Once()]

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        try:
            context = self._context.pop()
        except IndexError:
            raise RuntimeError("a task runs once: make one for each call, or use wrap()") from None
        if inspect.iscoroutinefunction(self._function):
            return self._coroutine(context, arguments, named)
        return context.run(self._function, *arguments, **named)

    async def _coroutine(self, context: Context, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        try:
            with Scope(context):
                return await self._function(*arguments, **named)
        finally:
            expunge()

    def __repr__(self) -> str:
        return f"<threadlocalmap.task of {self._function!r}>"


def task(function: Callable[P, R]) -> Callable[P, R]:
    """Wraps a function for one call: `pool.submit(task(function), argument)`.

    It works as wrap() does, but the call gets the copies that task() makes, and they are not copied again.
    If it is never called, for example because its future was cancelled, the copies are destroyed with it.
    """
    _refuse_generators("task", function)
    return _Task(function)
