# SPDX-License-Identifier: MIT OR Apache-2.0
"""The objects under the library's values, and the calls in which the library gives them up.

Problem: the library stores a pointer. It can't be the address of an object: an object that is stored twice is
two values, and the garbage collector must see all references, or an object that refers to its own key is never
freed. Also, a callback inside a call of the library may not switch maps, but a `destroy` that uses a key may
need this.

Idea: the library stores a number, which is never used again. The object is in the table of its key, so that the
collector sees key -> table -> object. A callback of the library only records, in the call that is in progress
on its thread, which numbers were destroyed or copied. `destroy` and `copy` are called when that call has
returned and the thread has its own map again.

Invariants:
- As long as the library has a number, `_cells` has it, and its object is in its table.
- A cell refers to its table weakly while the key lives, and strongly afterwards, until the table is empty.
- If a callback runs outside the calls of this module (a thread that ends in C, C code that expunges), it
  destroys the object at once.
- `_calls` has the innermost call of each thread that is inside one; only the thread changes its entry.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import weakref
from threading import get_ident
from typing import Any, Callable, Optional

from ._library import COPY, DESTROY, ERR_INIT, ERR_REENTRANT, KEY_DEAD, OK, POINTER, Error, check, library

ABSENT: Any = object()
"""No object: it was destroyed, or the copy is not made yet."""

numbers = itertools.count(1)


class Value:
    """An object with its number. Contexts of contextvars may refer to it after the object was destroyed."""

    __slots__ = ("number", "object")

    def __init__(self, number: int, object: Any) -> None:
        self.number = number
        self.object = object


class Table:
    """The values of one key, on all threads."""

    __slots__ = ("key", "values", "destroy", "copy", "cell", "__weakref__")

    def __init__(
        self, destroy: Optional[Callable[[Any, int], object]], copy: Optional[Callable[[Any], Any]], *, kept: bool
    ) -> None:
        self.key = 0
        self.values: dict[int, Value] = {}
        self.destroy = destroy
        self.copy = copy
        self.cell = Cell(self, kept)

    def add(self, object: Any) -> int:
        number = next(numbers)
        self.values[number] = Value(number, object)
        _cells[number] = self.cell
        return number

    def copied(self, object: Any) -> Any:
        """Returns a copy. Raises an Error if `copy` raises an exception, or copies values of its own key."""
        assert self.copy is not None
        mark = get_ident(), self.key
        if mark in _copying:
            raise Error(ERR_REENTRANT, "a key's copy takes the values of its own key along: it would never end")
        _copying.add(mark)
        try:
            return self.copy(object)
        except Exception as error:
            raise Error(ERR_INIT, f"a key's copy has raised {type(error).__name__}") from error
        finally:
            _copying.discard(mark)

    def has(self, value: Value) -> bool:
        """Returns whether the library still has the value."""
        return value.number in self.values and value.number not in _ended

    def forget(self, number: int) -> Value:
        """Removes and returns a value that the library does not have, or has no longer."""
        del _cells[number]
        return self.values.pop(number)

    def keep(self) -> None:
        """Call it when the key is closed or dropped. The objects then live until their threads destroy them."""
        self.cell.table = self
        early, self.cell.early = self.cell.early or [], None
        for number, reason in early:
            finish_value(self, number, reason)
        if not self.values:
            self.cell.table = None


class Cell:
    """Finds the table of a number. The reference is weak, so that the table can be collected with its key."""

    __slots__ = ("weak", "table", "early")

    def __init__(self, table: Table, kept: bool) -> None:
        self.weak = weakref.ref(table)
        self.table: Optional[Table] = None
        # Values that end between the moment when the collector clears `weak` and its call of keep().
        # If None, the objects are dropped with the table, and destroy is not called.
        self.early: Optional[list[tuple[int, int]]] = [] if kept else None


_cells: dict[int, Cell] = {}
_ended: set[int] = set()  # numbers that the library has given up, until finish()
_copying: set[tuple[int, int]] = set()  # threads, and the keys whose copy they are calling


def report(function: Callable[[], object]) -> None:
    """Calls a function; an exception is passed to sys.unraisablehook, as for any callback."""
    ctypes.CFUNCTYPE(None)(function)()


def finish(number: int, reason: int) -> None:
    """Ends the object of a number that the library has given up."""
    _ended.discard(number)
    cell = _cells.pop(number, None)
    if cell is None:
        return
    table = cell.table or cell.weak()
    if table is not None:
        finish_value(table, number, reason)
    elif cell.early is not None:
        cell.early.append((number, reason))


def finish_value(table: Table, number: int, reason: int) -> None:
    value = table.values.pop(number)
    if table.cell.table is not None and not table.values:
        table.cell.table = None
    object, destroy = value.object, table.destroy
    if destroy is not None or reason == KEY_DEAD:
        value.object = ABSENT  # contexts must not pass it to a task
    if destroy is not None and object is not ABSENT:
        try:
            destroy(object, reason)
        except BaseException as error:
            _raise_later(error)


def _raise_later(error: BaseException) -> None:
    def again() -> None:
        raise error

    try:
        report(again)
    finally:
        del again


class Call:
    """A call of the library that is in progress on a thread."""

    __slots__ = ("map", "base", "ended", "copied")

    def __init__(self, map: Optional[int], base: Optional[int]) -> None:
        self.map, self.base = map, base  # the map that is attached now, and outside all calls of this module
        self.ended: list[int] = []  # numbers and reasons in turn; integers do not start a garbage collection
        self.copied: list[int] = []  # new numbers and old ones in turn

    def finish(self) -> int:
        """Ends the objects that the library has given up, and returns how many."""
        ended, self.ended = self.ended, []
        for index in range(0, len(ended), 2):
            finish(ended[index], ended[index + 1])
        return len(ended) // 2

    def fill(self, *, move: bool = False) -> dict[int, tuple[Table, Value]]:
        """Makes the copies for the numbers that the library has, and returns them by key."""
        pairs, self.copied = self.copied, []
        filled = {}
        for index in range(0, len(pairs), 2):
            new, old = lookup(pairs[index]), lookup(pairs[index + 1])
            if new is None or old is None or old[1].object is ABSENT:
                continue
            object = old[1].object
            if move:
                old[1].object = ABSENT
            elif old[0].copy is not None:
                object = old[0].copied(object)
            new[1].object = object
            filled[new[0].key] = new
        return filled


def lookup(number: int) -> Optional[tuple[Table, Value]]:
    cell = _cells.get(number)
    table = None if cell is None else cell.table or cell.weak()
    value = None if table is None else table.values.get(number)
    return None if table is None or value is None else (table, value)


_calls: dict[int, Call] = {}
BETWEEN = -1  # the map is being switched; a signal handler that runs now must switch it itself


def call(map: Optional[int], function: Callable[..., Any], *arguments: Any) -> tuple[Any, Call]:
    """Calls a function of the library with a map of tls_map_create() attached; None is the thread's own map.

    The map is attached during the call only, so that C code on the thread always has the thread's map.
    """
    thread = get_ident()
    outer = _calls.get(thread)
    now = Call(map, None if outer is None else outer.base)
    if map == (None if outer is None else outer.map):
        _calls[thread] = now
        try:
            return function(*arguments), now
        finally:
            _leave(thread, outer)
    if outer is None or outer.map is None:
        now.base = library.tls_map_current()
    previous = POINTER()
    now.map = BETWEEN
    _calls[thread] = now
    try:
        code = library.tls_map_switch(now.base if map is None else map, previous)
        check(code, _CANNOT_SWITCH if code == ERR_REENTRANT else None)
        try:
            now.map = map
            return function(*arguments), now
        finally:
            now.map = BETWEEN
            check(library.tls_map_switch(previous, None))
    finally:
        _leave(thread, outer)


def _leave(thread: int, outer: Optional[Call]) -> None:
    if outer is None:
        del _calls[thread]
    else:
        _calls[thread] = outer


_CANNOT_SWITCH = (
    "a callback, a signal handler or a finalizer that runs inside a call of the library "
    "can use only the values of the task or map that the call uses"
)


def perform(map: Optional[int], function: Callable[..., Any], *arguments: Any) -> Any:
    """Does what call() does, and ends the objects that the library has given up."""
    result, now = call(map, function, *arguments)
    now.finish()
    return result


def store(map: Optional[int], key: int, table: Table, object: Any) -> tuple[int, Value, Call]:
    """Calls tls_set() with a new number for the object. If it fails, the object is not kept."""
    number = table.add(object)
    value = table.values[number]
    try:
        code, now = call(map, library.tls_set, key, number)
    except BaseException:
        # A signal handler may have raised the exception after the library has stored the number.
        found = POINTER()
        if perform(map, library.tls_try_get, key, found) != OK or found.value != number:
            table.forget(number)
        raise
    if code != OK:
        table.forget(number)
    return code, value, now


def perform_here(function: Callable[..., Any], *arguments: Any) -> Any:
    """Does what perform() does, with the map that is attached now. For finalizers."""
    outer = _calls.get(get_ident())
    return perform(None if outer is None else outer.map, function, *arguments)


def busy() -> bool:
    """Returns whether the calling thread is inside a call."""
    return bool(_calls) and get_ident() in _calls


def _on_end(number: int, reason: int, _user: object) -> None:
    now = _calls.get(get_ident())
    if now is None:
        finish(number, reason)
    else:
        _ended.add(number)
        now.ended.append(number)
        now.ended.append(reason)


def _on_copy(number: int, copied: Any, _user: object) -> int:
    now = _calls.get(get_ident())
    found = lookup(number)
    if found is None:  # a signal handler has just replaced or removed it: the copy is NULL
        copied[0] = None
        return OK
    if now is None:  # C code captures a context, or begins a scope with one
        now = Call(None, None)
    table = found[0]
    new = table.add(ABSENT)
    now.copied.append(new)
    now.copied.append(number)
    if get_ident() not in _calls:
        try:
            now.fill()
        except Error as error:
            table.forget(new)
            _raise_later(error)
            return 1
    copied[0] = new
    return OK


callbacks = (DESTROY(_on_end), COPY(_on_copy))
# The library may call these until the process ends, so they must outlive this module.
for _callback in callbacks:
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(_callback))


def _after_fork() -> None:
    """In the child, the calls of other threads are not in progress, and new threads may get their numbers."""
    _copying.intersection_update({mark for mark in _copying if mark[0] == get_ident()})
    mine = _calls.get(get_ident())
    _calls.clear()
    if mine is not None:
        _calls[get_ident()] = mine


os.register_at_fork(after_in_child=_after_fork)
