# SPDX-License-Identifier: MIT OR Apache-2.0
"""Cleanup on request: of stale objects, and of all objects of a thread.

Problem: a worker that sleeps keeps the objects of dead keys.

Idea: the library counts the stale values of each thread. Inside a task or Map, the functions work on its values
and on those of the thread, because objects of keys with worker=True belong to the thread everywhere.

Invariants: when a function returns, each object whose value the library has given up is destroyed.
"""

from __future__ import annotations

from typing import Any

from ._library import ERR_BUSY, TAKE, VISIT_LOCAL, Error, check, library
from ._strands import NOTHING, carried, carry_again, current, detach_thread, own
from ._values import ABSENT, call, lookup, perform


def expunge() -> int:
    """Destroys the stale objects of the calling thread, and of the current task or Map. Returns how many."""
    strand = current(check=False)
    count: int = perform(None, library.tls_expunge)
    if strand.address is not None:
        count += perform(strand.address, library.tls_expunge)
    return count


def stale_count() -> int:
    """Returns how many stale objects expunge() would destroy: objects whose key was closed."""
    strand = current(check=False)
    count: int = call(None, library.tls_stale_count)[0]
    if strand.address is not None:
        count += call(strand.address, library.tls_stale_count)[0]
    return count


def detach() -> None:
    """Destroys all objects of the calling thread, as at its end. The thread may store objects again."""
    strand = current(check=False)
    if strand is not own():
        raise Error(ERR_BUSY, f"{strand.name} runs on this thread: a thread is detached outside of tasks and maps")
    detach_thread(strand)


def take_all() -> list[Any]:
    """Takes all objects of the calling thread, or of the current task or Map, and returns them without
    destroying them: the youngest first, hidden and stale ones included.

    Use it in the child of a fork, whose objects are the parent's to destroy, and in a process that is
    about to exit without its destroy callbacks. If C code has values on the thread, it raises an Error,
    because those values would be lost.
    """
    strand = current()
    map = strand.map()
    foreign: list[int] = []
    numbers: list[int] = []

    def look(key: int, number: int, _argument: object) -> None:
        found = lookup(number)
        if found is None or found[0].key != key:
            foreign.append(key)

    check(perform(map, library.tls_for_each_local, VISIT_LOCAL(look), None))
    if foreign:
        raise Error(ERR_BUSY, f"C code has values in {strand.name}, under {len(foreign)} keys, which would be lost")
    inside = carried()
    code = perform(map, library.tls_take_all, TAKE(lambda _key, number, _argument: numbers.append(number)), None)
    objects = [found[0].forget(number).object for number in numbers if (found := lookup(number)) is not None]
    carry_again(NOTHING, inside)
    check(code)
    return [object for object in objects if object is not ABSENT]
