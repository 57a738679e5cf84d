# SPDX-License-Identifier: MIT OR Apache-2.0
"""Scopes: objects stored inside are destroyed at the end; objects they shadowed become visible again.

Problem: a generator can leave a `with` statement open between two of its items, and a coroutine can leave it
open while it waits. Other code that runs on the same thread meanwhile would be inside the scope, too.

Idea: a scope is a scope of the library, in the map of its strand. A task of asyncio and a Map have maps of their
own, and their scopes may be open during an await. Elsewhere the context of contextvars has its innermost scope;
a key that is used in another context while a scope is open raises an Error with the reason. A scope in a
generator raises an Error when it is entered, because a generator runs in the context of its caller.

Invariants:
- Scopes end in order. A scope that is left too early, or in another strand, is due: it ends when its strand next
  uses the module and the scope is the innermost one.
- Objects that destroy callbacks store while a scope ends are destroyed with it, in at most 4 rounds.
"""

from __future__ import annotations

import inspect
import sys
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Optional

from . import _maps
from ._library import ERR_BUSY, ERR_EXITING, ERR_INVALID, NUMBER, Error, check, library
from ._strands import NOTHING, ROUNDS, Carried, Strand, carried, carry_again, current, joined, set_innermost
from ._values import Call, call

if TYPE_CHECKING:
    from ._contexts import Context

_GENERATOR = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR


def _opener(frame: Optional[FrameType]) -> Optional[FrameType]:
    """Returns the frame that has opened a scope. Frames of contextlib, and of the functions that it makes
    context managers of, are skipped, because their yield is the body of a with statement."""
    while frame is not None:
        driver = frame.f_back
        if _is_of(frame, "contextlib") or (frame.f_code.co_flags & _GENERATOR and _is_of(driver, "contextlib")):
            frame = driver
        else:
            return frame
    return None


def _is_of(frame: Optional[FrameType], module: str) -> bool:
    return frame is not None and frame.f_globals.get("__name__") == module


def _place(frame: Optional[FrameType]) -> str:
    return "somewhere" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"


class Scope:
    """`with Scope():` objects stored inside are destroyed at the end of the block; objects they shadowed
    become visible again.

    With a Context, copies of its objects are stored inside. Make a new Scope for each `with`. In a generator,
    a Scope raises an Error when it is entered, because the code that takes the items would be inside it too;
    across_yield=True allows it. Functions with @contextlib.contextmanager may open scopes.
    """

    def __init__(self, context: Optional[Context] = None, *, across_yield: bool = False) -> None:
        self._context = context
        self._across_yield = across_yield
        self._strand: Optional[Strand] = None
        self._scope = 0
        self._outside: tuple[Carried, Carried] = (NOTHING, NOTHING)  # what is carried, before and after its begin
        self.due = False
        self.where = ""

    def __enter__(self) -> Scope:
        if self._strand is not None:
            raise RuntimeError("this scope is open already: make one for each with")
        frame = _opener(sys._getframe(1))
        self.where = _place(frame)
        held = frame is not None and frame.f_code.co_flags & _GENERATOR and not _is_of(frame.f_back, _maps.__name__)
        if held and not self._across_yield:
            raise Error(
                ERR_INVALID,
                f"a scope in a generator ({self.where}) is open between its items, and the code that takes them is "
                "inside it, too: put @threadlocalmap.generator before the function, or Scope(across_yield=True) if that is what "
                "you want. A function under @contextlib.contextmanager needs neither",
            )
        strand = current()
        if self._context is None:
            self._begin(strand, None)
        else:
            self._context._enter(self, strand)
        return self

    def _begin(self, strand: Strand, address: Optional[int], *, move: bool = False) -> None:
        scope, map, outside = NUMBER(), strand.map(), carried()
        code, now = call(map, library.tls_scope_begin, scope, address)
        now.finish()
        check(code)
        self._scope, self._strand, self._outside, self.due = scope.value, strand, (outside, carried()), False
        strand.moving = True
        strand.scopes.append(self)
        if not strand.is_task:
            set_innermost(self)
        strand.moving = False
        try:
            copies = now.fill(move=move)
        except BaseException:
            self.end()
            raise
        if address is not None:
            carry_again(copies, joined(*self._outside))

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        strand = self._strand
        if strand is None:
            if self.due:  # the scope has ended meanwhile
                self.due = False
                return
            raise RuntimeError("this scope is not open")
        if (strand.ended and strand.home is not None) or self not in strand.scopes:
            self._strand = None
            raise Error(ERR_EXITING, f"the scope opened at {self.where} has ended already, with {strand.name}")
        here = current(check=False)
        if here is not strand:
            self.due = True
            raise Error(ERR_INVALID, f"the scope opened at {self.where} in {strand.name} can't be ended in {here.name}")
        while strand.scopes[-1].due and strand.scopes[-1] is not self:
            strand.scopes[-1].end()
        if strand.scopes[-1] is not self:
            self.due = True
            raise Error(
                ERR_BUSY,
                f"the scope opened at {self.where} can't be ended before the one that was opened in it at "
                f"{strand.scopes[-1].where}: a generator, a coroutine or an ExitStack leaves them in another order. "
                "It ends when that scope has ended",
            )
        self.end()

    def end(self) -> None:
        """Ends the scope, which must be the innermost one, and then those around it that are due."""
        strand = self._strand
        assert strand is not None and strand.scopes[-1] is self
        map, inside = strand.map(), carried()
        code, now = call(map, library.tls_scope_end, self._scope)
        if code != 0:
            now.finish()
            check(code)
        carry_again(joined(*self._outside), inside)
        self._outside = NOTHING, NOTHING
        strand.moving = True
        strand.scopes.pop()
        if not strand.is_task:
            set_innermost(strand.scopes[-1] if strand.scopes else None)
        strand.moving = False
        self._strand = None
        _finish(strand, now)


def _finish(strand: Strand, now: Call) -> None:
    """Calls destroy for what has ended, in a new scope for each round."""
    for _ in range(ROUNDS - 1):
        if not now.ended:
            return
        inner, map, before = NUMBER(), strand.map(), carried()
        code, begun = call(map, library.tls_scope_begin, inner, None)
        outside = before, carried()
        now.ended += begun.ended
        now.finish()
        if code != 0:
            return
        inside = carried()
        _, now = call(map, library.tls_scope_end, inner)
        carry_again(joined(*outside), inside)
    now.finish()
