# SPDX-License-Identifier: MIT OR Apache-2.0
"""Maps: objects for code that is neither a thread nor a task of asyncio.

Problem: the coroutines of other event loops, greenlets, generators and callbacks take turns on a thread, and
the library can't detect which of them runs.

Idea: code enters a Map, and the context of contextvars is then inside it. Each greenlet has a context of its
own, and so has each task of an event loop that supports contextvars. A generator has none: `generator` enters
a Map for each of its steps.

Invariants: a Map is entered on one thread at a time. The values that it carries for tasks that are made inside
are in the context that has entered it; while no context has, they are in the Map.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Generator
from types import AsyncGeneratorType, GeneratorType, TracebackType
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar

from ._library import ERR_BUSY, ERR_EXITING, Error
from ._strands import Carried, StrandOwner, Strand, carried, current, enter, leave, own

if TYPE_CHECKING:
    from typing_extensions import ParamSpec

    P = ParamSpec("P")
R = TypeVar("R")


class Map:
    """Gives code that is neither a thread nor a task of asyncio objects of its own.

        with Map() as map:          # or map.run(function, argument), any number of times
            key.set(1)              # stored in the map, and not on the thread
        map.close()                 # destroys its objects; dropping the map does the same

    A Map begins with copies of the objects that copy= keys have where the Map is made. A `with` block
    may contain an await, because the context of contextvars is inside the Map, and not the thread.
    Objects of keys with worker=True still belong to the thread.
    """

    def __init__(self) -> None:
        current()
        strand = Strand("this map", own(), carried(), is_task=False)
        self._carried: Carried = strand.begin()
        self._owner = StrandOwner(strand)
        self._within: list[Strand] = []  # the thread, once for each open `with`

    def __enter__(self) -> Map:
        strand, thread, within = self._owner.strand, own(), self._within
        if strand.ended:
            raise Error(ERR_EXITING, "this map was closed")
        if within and within[0] is not thread:
            raise Error(ERR_BUSY, f"this map is entered already, in {within[0].name}")
        within.append(thread)
        enter(strand, self._carried)
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        those = leave(self._owner.strand)
        if those is None:
            raise Error(ERR_BUSY, "this map can't be left here: it was entered in another context, or another map in it")
        self._within.pop()
        self._carried = those

    def run(self, function: Callable[P, R], /, *arguments: P.args, **named: P.kwargs) -> R:
        """Calls a function inside the map."""
        with self:
            return function(*arguments, **named)

    def close(self) -> None:
        """Destroys the map's objects, on the calling thread. A second call has no effect."""
        if self._within:
            raise Error(ERR_BUSY, f"this map is entered, in {self._within[0].name}: leave it first")
        self._owner.strand.end()
        self._carried = {}

    def __repr__(self) -> str:
        return f"<threadlocalmap.Map{' (closed)' if self._owner.strand.ended else ''}>"


class _Generator(Generator[Any, Any, Any]):
    """A generator of which each step runs in a Map."""

    def __init__(self, steps: GeneratorType[Any, Any, Any]) -> None:
        self._steps = steps
        self._map = Map()

    def _step(self, function: Callable[..., Any], *arguments: Any) -> Any:
        if self._map._owner.strand.ended:
            return function(*arguments)
        try:
            with self._map:
                return function(*arguments)
        finally:
            if self._steps.gi_frame is None:  # it has ended
                self._map.close()

    def __next__(self) -> Any:
        return self._step(self._steps.__next__)

    def send(self, value: Any) -> Any:
        return self._step(self._steps.send, value)

    def throw(self, *error: Any) -> Any:
        return self._step(self._steps.throw, *error)

    def close(self) -> None:
        map = self._map
        if map._owner.strand.ended:
            return
        try:
            with map:
                self._steps.close()
        finally:
            map.close()

    def __del__(self) -> None:
        if hasattr(self, "_map"):
            self.close()


class _AsyncGenerator(AsyncGenerator[Any, Any]):
    """An asynchronous generator of which each step runs in a Map."""

    def __init__(self, steps: AsyncGeneratorType[Any, Any]) -> None:
        self._steps = steps
        self._map = Map()

    async def _step(self, function: Callable[..., Any], *arguments: Any) -> Any:
        if self._map._owner.strand.ended:
            return await function(*arguments)
        try:
            with self._map:
                return await function(*arguments)
        finally:
            if self._steps.ag_frame is None:  # it has ended
                self._map.close()

    async def __anext__(self) -> Any:
        return await self._step(self._steps.__anext__)

    async def asend(self, value: Any) -> Any:
        return await self._step(self._steps.asend, value)

    async def athrow(self, *error: Any) -> Any:
        return await self._step(self._steps.athrow, *error)

    async def aclose(self) -> None:
        map = self._map
        if map._owner.strand.ended:
            return
        try:
            with map:
                await self._steps.aclose()
        finally:
            map.close()


def generator(function: Callable[P, R]) -> Callable[P, R]:
    """Decorates a generator function, asynchronous or not: each of its generators gets a Map.

    The code that takes the items does not see the objects of the generator, and is not inside the scopes
    that the generator opens. The generator begins with copies of the objects that copy= keys have where it
    is made. Its objects are destroyed when it ends.
    """
    make: Any = _AsyncGenerator if inspect.isasyncgenfunction(function) else _Generator
    if make is _Generator and not inspect.isgeneratorfunction(function):
        raise TypeError(f"generator() is for functions with a yield, and {function!r} has none")

    @functools.wraps(function)
    def steps(*arguments: P.args, **named: P.kwargs) -> R:
        result: R = make(function(*arguments, **named))
        return result

    return steps
