"""Thread locals for objects that die before the threads do: libthreadlocalmap for Python.

Problem: `threading.local` keeps what a pool's thread has stored until that thread ends, and a pool's
thread never ends. In asyncio one thread runs many tasks, which would all see the same values.

Idea: each object has a Key. When the key is closed, or collected, what the threads have stored under
it is stale, and each thread drops its own: at expunge(), at the end of a task, when it next stores or
misses a value, or when it ends. A task of asyncio has values of its own, which end with it.

    class Document:
        def __init__(self):
            self.buffers = threadlocalmap.Key(name="buffer", destroy=Buffer.close)

    document.buffers.set(Buffer())                      # this thread's own
    pool.submit(threadlocalmap.task(work), document)    # leaves its worker as it has found it
    pool.map(threadlocalmap.wrap(work), documents)      # each call does
    document.buffers.close()                            # with the document

`pip install ./bindings/python` builds the library and puts it into the wheel. Without one, the shared
library is found by its path in THREADLOCALMAP_LIBRARY, or where the system looks for
libthreadlocalmap.so.0. Python 3.9 or newer, and nothing but the standard library.

Invariants: an object lives exactly as long as the library keeps its value. It is dropped, and
`destroy` is called, on the thread that stored it; for one of threading's threads, pool workers
included, before its join() returns. A main thread's values end at the interpreter's exit; a daemon
thread's do not. docs/pools-python.md has the rest.
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
