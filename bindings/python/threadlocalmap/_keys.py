# SPDX-License-Identifier: MIT OR Apache-2.0
"""Keys, under which each thread, task or Map stores an object of its own.

Problem: objects end before the threads do. The values that a thread has stored for such an object stay until
the thread ends, and the threads of a pool do not end.

Idea: each object has a Key. When the key is closed or collected, the objects that were stored under it
become stale, and each thread destroys its own.

Invariants:
- A key is released once. Its objects are in its table, where the garbage collector finds them: an object that
  refers to its own key does not keep the key alive.
- Objects of a key with copy= are carried: `_strands.carried` returns the object of the strand.
"""

from __future__ import annotations

import ctypes
from types import TracebackType
from typing import Any, Callable, Generic, Optional, TypeVar, Union, overload

from ._library import COPY, ERR_ABSENT, ERR_DEAD_KEY, FLAG_ENUMERABLE, FLAG_EXPLICIT, FLAG_INHERIT, FLAG_WORKER
from ._library import NUMBER, OK, POINTER, VISIT, Options, check, library
from ._strands import Strand, carried, carry_removed, carry_stored, current, over, own
from ._values import ABSENT, Table, busy, call, callbacks, perform, perform_here, store

T = TypeVar("T")
D = TypeVar("D")
R = TypeVar("R")

_no_copy = COPY()
_STOP = 1  # a visitor returns it to end the visit


class Key(Generic[T]):
    """A key, under which each thread, task of asyncio or Map stores an object of its own.

    name: the name that reports show.
    destroy(object, reason): called once for each object, on the thread that stored it. If it raises an
      exception, the exception is passed to sys.unraisablehook.
    copy(object): returns the object that a task gets. It is called with the submitter's object, for tasks of
      pools and of asyncio.
    worker=True: objects belong to the thread and not to its tasks; for caches. Scopes and tasks do not affect
      them.
    enumerable=True: for_each() and scrape() find the objects of all threads.
    explicit=True: when the key is closed, its objects are destroyed only in expunge(), and at the end of
      their thread, task, scope or Map. No get() or set() of another key destroys them.

    When a key is garbage collected, it is closed.
    """

    def __init__(
        self,
        name: Optional[str] = None,
        destroy: Optional[Callable[[T, int], object]] = None,
        *,
        copy: Optional[Callable[[T], T]] = None,
        worker: bool = False,
        enumerable: bool = False,
        explicit: bool = False,
    ) -> None:
        self._table: Optional[Table] = None
        self._key = 0
        self.name = name
        if name is not None and not isinstance(name, str):
            raise TypeError(f"a key's name is a str, and not {name!r}")
        if name is not None and "\0" in name:
            raise ValueError(f"a key's name can't have a zero character: {name!r}")
        for what, function in (("destroy", destroy), ("copy", copy)):
            if function is not None and not callable(function):
                raise TypeError(f"a key's {what} is a function, and not {function!r}")
        if worker and copy is not None:
            raise ValueError(
                "a key has worker=True or copy, not both: a worker's objects stay with it, so no task takes copies along"
            )
        self._worker = worker
        self._flags = FLAG_WORKER if worker else 0
        self._flags |= (0 if copy is None else FLAG_INHERIT) | (FLAG_ENUMERABLE if enumerable else 0)
        self._flags |= FLAG_EXPLICIT if explicit else 0
        self._table = self._make(Table(destroy, copy, kept=True))

    def _make(self, table: Table) -> Table:
        options = Options(size=ctypes.sizeof(Options), destroy=callbacks[0])
        options.name = None if self.name is None else self.name.encode(errors="surrogateescape")
        options.copy = _no_copy if table.copy is None else callbacks[1]
        options.flags = self._flags
        key = NUMBER()
        check(library.tls_key_create(key, options))
        self._key = table.key = key.value
        return table

    def _strand(self) -> Strand:
        return own() if self._worker else current()

    def _check(self, code: int) -> None:
        check(code, f"{self!r} was closed" if code == ERR_DEAD_KEY else None)

    @property
    def _values(self) -> Table:
        assert self._table is not None
        return self._table

    @overload
    def get(self) -> Optional[T]: ...
    @overload
    def get(self, default: D) -> Union[T, D]: ...
    def get(self, default: Any = None) -> Any:
        """The object of the calling thread, task or Map, or default."""
        strand, table = self._strand(), self._values
        if strand.home is None and table.cell.table is None and not busy():
            # The fast path: a look-up that destroys nothing and switches no map. If it finds None, the code
            # below looks again.
            value = table.values.get(library.tls_get_existing(self._key))
            if value is not None and value.object is not ABSENT:
                return value.object
        number = POINTER()
        while True:
            code = perform(self._strand().map(), library.tls_try_get, self._key, number)
            if code == ERR_ABSENT:
                return default
            self._check(code)
            if number.value is None:  # shadowed
                return default
            value = table.values.get(number.value)
            object = ABSENT if value is None else value.object
            if object is not ABSENT:
                return object
            if number.value in table.values:  # the copy is not made yet
                return default
            # A signal handler has replaced or removed the object meanwhile: try again.

    def set(self, object: T) -> None:
        """Stores an object for the calling thread, task or Map, and destroys the one that it replaces."""
        table = self._values
        code, value, now = store(self._strand().map(), self._key, table, object)
        if code == 0 and table.copy is not None:
            carry_stored(self._key, table, value)
        now.finish()
        self._check(code)

    def remove(self) -> None:
        """Removes and destroys the object of the calling thread, task or Map, if there is one."""
        map, inside = self._strand().map(), carried()
        code, now = call(map, library.tls_remove, self._key)
        if code == 0:
            carry_removed(self._key, inside)
        now.finish()
        self._check(code)

    @overload
    def take(self) -> Optional[T]: ...
    @overload
    def take(self, default: D) -> Union[T, D]: ...
    def take(self, default: Any = None) -> Any:
        """Removes the object without destroying it, and returns it; if there is none, returns default. If the
        object was stored outside of the open scope, it is shadowed until the scope ends, and default is
        returned."""
        number, map, inside = POINTER(), self._strand().map(), carried()
        code = perform(map, library.tls_take, self._key, number)
        if code == ERR_ABSENT:
            return default
        self._check(code)
        carry_removed(self._key, inside)
        if number.value is None:
            return default
        object = self._values.forget(number.value).object
        return default if object is ABSENT else object

    def for_each(self, visit: Callable[[T], Optional[R]]) -> Optional[R]:
        """Calls visit(object) with each object of a key with enumerable=True, of all threads, tasks and Maps.

        The first result that is not None ends the visit and is returned. An exception of visit ends the visit
        and is raised. An object that is being visited is not destroyed: if its thread replaces or removes it, or
        ends, its destruction is deferred.
        """
        self._enumerable("for_each")
        table, results, errors = self._values, [], []

        def each(number: int, _thread: int, _argument: object) -> int:
            value = table.values.get(number)
            if value is None or value.object is ABSENT:
                return OK
            try:
                result = visit(value.object)
            except BaseException as error:
                errors.append(error)
                return _STOP
            if result is None:
                return OK
            results.append(result)
            return _STOP

        code = perform(self._strand().map(), library.tls_for_each, self._key, VISIT(each), None)
        try:
            for error in errors:
                raise error
        finally:
            errors.clear()
        if code != _STOP:
            self._check(code)
        return results[0] if results else None

    def scrape(self) -> list[T]:
        """Takes the objects of all threads, tasks and Maps under a key with enumerable=True, and returns
        them without destroying them. The threads, tasks and Maps have no object afterwards."""
        self._enumerable("scrape")
        numbers: list[int] = []

        def take(number: int, _thread: int, _argument: object) -> int:
            numbers.append(number)
            return OK

        map, inside = self._strand().map(), carried()
        code = perform(map, library.tls_scrape, self._key, VISIT(take), None)
        objects = [self._values.forget(number).object for number in numbers if number in self._values.values]
        carry_removed(self._key, inside)
        self._check(code)
        return [object for object in objects if object is not ABSENT]

    def _enumerable(self, what: str) -> None:
        if not self._flags & FLAG_ENUMERABLE:
            raise ValueError(f"{what}() is for keys that were made with enumerable=True, and {self!r} was not")

    @property
    def live(self) -> bool:
        """Whether the key is not closed."""
        live: bool = library.tls_key_is_live(self._key)
        return live

    def close(self) -> None:
        """Closes the key. The calling thread's objects are destroyed before this returns, and those of
        other threads and tasks when they next expunge. A second call has no effect."""
        if not self.live:
            return
        strand = current(check=False)
        carry_removed(self._key, carried())
        self._values.keep()
        perform(strand.address, library.tls_key_release, self._key)
        if strand.address is not None:
            perform(None, library.tls_expunge)

    release = close

    def __enter__(self) -> Key[T]:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    def __del__(self, over: list[None] = over) -> None:
        table = self._table
        if table is None or over or not self.live:
            return
        table.keep()
        if busy():
            perform_here(library.tls_key_release, self._key)
        else:
            self.close()

    def __repr__(self) -> str:
        return f"<threadlocalmap.Key {self._key} {self.name or ''}{'' if self.live else ' (closed)'}>"
