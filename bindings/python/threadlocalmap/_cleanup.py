"""The end of stale values, and of all of a thread's, when the program says so.

Problem: a worker that sleeps keeps what dead keys have left in it.

Idea: the library knows the number of them without looking. Inside a task or Map both its values and
the thread's are meant, because keys with worker=True are the thread's everywhere.

Invariants: what the library has let go of is destroyed before a function returns.
"""

from __future__ import annotations

from ._library import ERR_BUSY, Error, library
from ._strands import current, detach_thread, own
from ._values import call, perform


def expunge() -> int:
    """Destroys the stale objects of the calling thread, and of the task or Map that runs; how many."""
    strand = current(check=False)
    count: int = perform(None, library.tls_expunge)
    if strand.address is not None:
        count += perform(strand.address, library.tls_expunge)
    return count


def stale_count() -> int:
    """How many stale objects expunge() would destroy: objects whose key was closed."""
    strand = current(check=False)
    count: int = call(None, library.tls_stale_count)[0]
    if strand.address is not None:
        count += call(strand.address, library.tls_stale_count)[0]
    return count


def detach() -> None:
    """Destroys all of the calling thread's objects, as its end would. It may go on storing."""
    strand = current(check=False)
    if strand is not own():
        raise Error(ERR_BUSY, f"{strand.name} runs on this thread: a thread is detached outside of tasks and maps")
    detach_thread(strand)
