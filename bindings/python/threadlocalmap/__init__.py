# SPDX-License-Identifier: MIT OR Apache-2.0
"""Thread-locals for objects that end before the threads do: libthreadlocalmap for Python.

Problem: `threading.local` keeps the objects of a thread until the thread ends, and the threads of a pool
do not end. In asyncio, one thread runs many tasks, which would all see the same objects.

Idea: each object has a Key. When the key is closed or collected, the objects that threads have stored
under it become stale. Each thread destroys its own stale objects: in expunge(), at the end of a task, when
it next stores an object or finds none, or when it ends. Each task of asyncio has objects of its own, which
are destroyed when the task ends.

    class Document:
        def __init__(self):
            self.buffers = threadlocalmap.Key(name="buffer", destroy=Buffer.close)

    document.buffers.set(Buffer())                      # this thread's own
    pool.submit(threadlocalmap.task(work), document)    # then restores the worker's objects
    pool.map(threadlocalmap.wrap(work), documents)      # the same for each call
    document.buffers.close()                            # when the document ends

`pip install ./bindings/python` builds the library and puts it into the wheel. Without a wheel, set
THREADLOCALMAP_LIBRARY to the path of the shared library, or install libthreadlocalmap.so.0 in a folder
that the dynamic linker searches. This module needs Python 3.9 or newer, and only the standard library.

Invariants: the module refers to an object exactly as long as the library keeps its value. The reference is
dropped, and `destroy` is called, on the thread that stored the object. For threads of `threading`, workers of
executors included, this happens before join() returns. The main thread's objects are destroyed at the interpreter's
exit; those of daemon threads are not. docs/pools-python.md has the details.
"""

from ._cleanup import detach, expunge, stale_count, take_all
from ._contexts import Context, task, wrap
from ._keys import Key
from ._library import (
    DETACHED,
    KEY_DEAD,
    MAP_DESTROYED,
    PURGED,
    REMOVED,
    REPLACED,
    SCOPE_END,
    THREAD_EXIT,
    Error,
)
from ._locals import local
from ._maps import Map, generator
from ._reports import dump, stats
from ._scopes import Scope

__all__ = [
    "DETACHED",
    "KEY_DEAD",
    "MAP_DESTROYED",
    "PURGED",
    "REMOVED",
    "REPLACED",
    "SCOPE_END",
    "THREAD_EXIT",
    "Context",
    "Error",
    "Key",
    "Map",
    "Scope",
    "detach",
    "dump",
    "expunge",
    "generator",
    "local",
    "stale_count",
    "stats",
    "take_all",
    "task",
    "wrap",
]
