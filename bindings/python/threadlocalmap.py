"""Thread locals for objects that die before the threads do: libthreadlocalmap for Python.

`threading.local` keeps what a pool's thread has stored until that thread ends, and a pool's thread
never ends. Here each object has a Key. When the key is closed, or collected, what the threads have
stored under it is stale, and each thread drops its own: at expunge(), at the end of a task, when it
next stores or misses a value, or when it ends.

    class Document:
        def __init__(self):
            self.buffers = threadlocalmap.Key(name="buffer", destroy=Buffer.close)

    document.buffers.set(Buffer())                      # this thread's own
    pool.submit(threadlocalmap.task(work), document)    # leaves its worker as it has found it
    document.buffers.close()                            # with the document

To use it, put this file on the module path: add bindings/python to PYTHONPATH, or copy it (`make
install` does not install it). It needs Python 3.9 or newer, and nothing but the standard library.
The shared library is found by its path in THREADLOCALMAP_LIBRARY, or where the system looks for
libthreadlocalmap.so.0.

Promises: an object lives exactly as long as the library keeps its value. It is dropped, and
`destroy` is called, on the thread that stored it; for one of threading's threads, pool workers
included, before its join() returns. A main thread's values end at the interpreter's exit; a daemon
thread's do not. docs/pools-python.md has the rest.
"""

import atexit
import ctypes
import ctypes.util
import itertools
import json
import os
import threading

__all__ = ["Key", "Scope", "Error", "task", "expunge", "stale_count", "detach", "stats", "dump"]

# Why a value was destroyed: what the callback of a key is told.
REPLACED, REMOVED, KEY_DEAD, PURGED, SCOPE_END, THREAD_EXIT, DETACHED, MAP_DESTROYED = range(1, 9)

_SONAME = "libthreadlocalmap.so.0"
_ABSENT = -5
_INIT = -8
_WORKER, _INHERIT = 2, 4

_VOID_P = ctypes.c_void_p
_Destroy = ctypes.CFUNCTYPE(None, _VOID_P, ctypes.c_int, _VOID_P)
_Copy = ctypes.CFUNCTYPE(ctypes.c_int, _VOID_P, ctypes.POINTER(_VOID_P), _VOID_P)
_Run = ctypes.CFUNCTYPE(None, _VOID_P)
_Write = ctypes.CFUNCTYPE(ctypes.c_int, _VOID_P, ctypes.c_size_t, _VOID_P)


class _Options(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_size_t),
        ("name", ctypes.c_char_p),
        ("destroy", _Destroy),
        ("init", _VOID_P),
        ("copy", _Copy),
        ("user", _VOID_P),
        ("user_free", _VOID_P),
        ("reclaim", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
    ]


_COUNTERS = (
    "keys dead_keys maps entries stale expunged destroyed leaked rehashes longest_probe capacity "
    "bytes unwatched contexts unscoped"
).split()


class _Stats(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t)] + [(name, ctypes.c_uint64) for name in _COUNTERS]


_SIGNATURES = {
    "tls_key_create": (ctypes.c_int, ctypes.POINTER(ctypes.c_uint64), ctypes.POINTER(_Options)),
    "tls_key_release": (ctypes.c_int, ctypes.c_uint64),
    "tls_key_is_live": (ctypes.c_bool, ctypes.c_uint64),
    "tls_try_get": (ctypes.c_int, ctypes.c_uint64, ctypes.POINTER(_VOID_P)),
    "tls_set": (ctypes.c_int, ctypes.c_uint64, _VOID_P),
    "tls_take": (ctypes.c_int, ctypes.c_uint64, ctypes.POINTER(_VOID_P)),
    "tls_remove": (ctypes.c_int, ctypes.c_uint64),
    "tls_expunge": (ctypes.c_size_t,),
    "tls_stale_count": (ctypes.c_size_t,),
    "tls_thread_detach": (ctypes.c_int,),
    "tls_scope_begin": (ctypes.c_int, ctypes.POINTER(ctypes.c_uint64), _VOID_P),
    "tls_scope_end": (ctypes.c_int, ctypes.c_uint64),
    "tls_task_create": (ctypes.c_int, ctypes.POINTER(_VOID_P), _Run, _VOID_P),
    "tls_task_run": (None, _VOID_P),
    "tls_task_cancel": (None, _VOID_P),
    "tls_stats": (ctypes.c_int, ctypes.POINTER(_Stats)),
    "tls_dump": (ctypes.c_int, _Write, _VOID_P),
    "tls_strerror": (ctypes.c_char_p, ctypes.c_int),
    "tls_err_name": (ctypes.c_char_p, ctypes.c_int),
}


def _load():
    """The library, called without letting go of the GIL: no function used here waits."""
    path = os.environ.get("THREADLOCALMAP_LIBRARY")
    path = path or ctypes.util.find_library("threadlocalmap") or _SONAME
    try:
        library = ctypes.PyDLL(path)
        for name, (result, *arguments) in _SIGNATURES.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        raise ImportError(
            f"threadlocalmap needs {_SONAME}: install it, or set THREADLOCALMAP_LIBRARY to its path ({error})"
        ) from error
    return library


_library = _load()


class Error(Exception):
    """A function of the library has failed: `code` is TLS_ERR_*, `name` that constant's name."""

    def __init__(self, code):
        super().__init__(code)
        self.code = code
        self.name = _library.tls_err_name(code).decode()

    def __str__(self):
        return f"{self.name}: {_library.tls_strerror(self.code).decode()}"


def _check(code, cause=None):
    if code != 0:
        raise Error(code) from cause


class _Value:
    """An object that the library keeps, and what its key says about it."""

    __slots__ = ("object", "destroy", "copy")

    def __init__(self, object, destroy, copy):
        self.object, self.destroy, self.copy = object, destroy, copy


# What C sees of a value or task is a number, never used again: no address of an object that may
# have moved on, and the same object stored twice is two values. As long as the library has the
# number, the object is here.
_numbers = itertools.count(1)
_values = {}
_running = {}
_local = threading.local()


@_Destroy
def _destroy(number, reason, _user):
    value = _values.pop(number)
    if value.destroy is not None:
        value.destroy(value.object, reason)


@_Copy
def _copy(number, copied, _user):
    value = _values[number]
    try:
        copy = _Value(value.copy(value.object), value.destroy, value.copy)
    except BaseException as error:  # it is raised again by the one who captures
        _local.failure = error
        return 1
    number = next(_numbers)
    _values[number] = copy
    copied[0] = number
    return 0


@_Run
def _run(number):
    _running.pop(number)()


# The library may call these for as long as the process lives: they must outlive this module.
for _callback in (_destroy, _copy, _run):
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(_callback))
_no_copy = _Copy()


class _ThreadEnd:
    """Detaches its thread when Python is done with it: before join() returns, and while the
    thread still has its Python state. The library itself would do it a little later."""

    def __init__(self):
        self.thread = threading.get_ident()

    def __del__(self, get_ident=threading.get_ident, detach=_library.tls_thread_detach):
        # A child process drops the other threads' on the thread that forked.
        if get_ident() == self.thread:
            detach()


def _watch():
    """Sees to the end of the calling thread, if it is one of threading's. Python forgets others'
    state each time that they leave Python, which is not their end: the library sees to those."""
    if getattr(_local, "end", None) is None:
        thread = threading._active.get(threading.get_ident())
        known = thread is not None and not isinstance(thread, threading._DummyThread)
        _local.end = _ThreadEnd() if known else False


class Key:
    """What each thread stores an object of its own under.

    name is for reports. destroy(object, reason) ends an object; it is called on the thread that
    stored it; what it raises goes to sys.unraisablehook. worker=True: values outlive scopes and
    tasks, as a worker's own caches do. With copy, a task takes copy(object) of its submitter along.

    A key that is collected is closed. An object must not refer to its own key: it would keep it.
    """

    def __init__(self, name=None, destroy=None, *, copy=None, worker=False):
        self._key = 0
        self._destroy, self._copy, self.name = destroy, copy, name
        options = _Options(size=ctypes.sizeof(_Options), destroy=_destroy)
        options.name = None if name is None else os.fsencode(name)
        options.copy = _no_copy if copy is None else _copy
        options.flags = (_WORKER if worker else 0) | (0 if copy is None else _INHERIT)
        key = ctypes.c_uint64()
        _check(_library.tls_key_create(key, options))
        self._key = key.value

    def get(self, default=None):
        """The calling thread's object, or default."""
        number = _VOID_P()
        code = _library.tls_try_get(self._key, number)
        if code == _ABSENT:
            return default
        _check(code)
        value = _values.get(number.value)  # gone, if a signal's handler has just removed it
        return default if value is None else value.object

    def set(self, object):
        """Stores the calling thread's object. The one that it replaces is destroyed."""
        _watch()
        number = next(_numbers)
        _values[number] = _Value(object, self._destroy, self._copy)
        code = _library.tls_set(self._key, number)
        if code != 0:
            del _values[number]
        _check(code)

    def remove(self):
        """Removes and destroys the calling thread's object, if there is one."""
        _check(_library.tls_remove(self._key))

    def take(self, default=None):
        """Removes the calling thread's object and returns it, not destroyed; else default. One
        that was stored outside of the scope that is open is hidden, and default returned."""
        number = _VOID_P()
        code = _library.tls_take(self._key, number)
        if code == _ABSENT:
            return default
        _check(code)
        return default if number.value is None else _values.pop(number.value).object

    @property
    def live(self):
        """Whether it was not closed yet."""
        return _library.tls_key_is_live(self._key)

    def close(self):
        """Ends the key, on all threads: the calling thread's object is destroyed before this
        returns, those of other threads when their threads expunge. Closing it again does nothing."""
        if self.live:
            _check(_library.tls_key_release(self._key))

    release = close

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self, release=_library.tls_key_release):
        release(self._key)  # a closed key's, too: that is an error, and changes nothing

    def __repr__(self):
        return f"<threadlocalmap.Key {self._key} {self.name or ''}{'' if self.live else ' (closed)'}>"


class Scope:
    """`with Scope():` what the thread stores inside ends with it, and what that hid is back."""

    def __init__(self):
        self._scope = None

    def __enter__(self):
        if self._scope is not None:
            raise RuntimeError("this scope is open already: make one for each with")
        _watch()
        scope = ctypes.c_uint64()
        _check(_library.tls_scope_begin(scope, None))
        self._scope = scope.value
        return self

    def __exit__(self, *_):
        _check(_library.tls_scope_end(self._scope))
        self._scope = None


class _Task:
    """See task()."""

    def __init__(self, function):
        self._task = 0
        self._function = function
        self._number = next(_numbers)
        _watch()
        task = _VOID_P()
        code = _library.tls_task_create(task, _run, self._number)
        _check(code, _local.__dict__.pop("failure", None) if code == _INIT else None)
        self._task = task.value

    def __call__(self, *arguments, **named):
        _watch()
        outcome = []

        def call():
            try:
                outcome.append((self._function(*arguments, **named), None))
            except BaseException as error:
                outcome.append((None, error))

        task, self._task = self._task, 0
        if not task:
            raise RuntimeError("a task runs once: make one for each call")
        _running[self._number] = call
        _library.tls_task_run(task)
        result, error = outcome.pop()
        try:
            if error is not None:
                raise error
            return result
        finally:
            del error  # it has this frame in its traceback

    def __del__(self, cancel=_library.tls_task_cancel):
        cancel(self._task)  # nothing, if it has run


def task(function):
    """Wraps a function for a pool: `pool.submit(task(function), argument)`.

    The wrapper is called once, with whatever arguments, on any thread: in a scope, with copies of
    the objects that the thread that made the wrapper has under keys with a copy; afterwards the
    thread expunges. Results and exceptions pass through. One that is never called, because its
    future was cancelled, drops what it has taken along.
    """
    return _Task(function)


def expunge():
    """Destroys the calling thread's stale objects, now; how many."""
    return _library.tls_expunge()


def stale_count():
    """How many stale objects the calling thread has: objects whose key was closed."""
    return _library.tls_stale_count()


def detach():
    """Destroys all of the calling thread's objects, as its end would. It may go on storing."""
    _check(_library.tls_thread_detach())


def stats():
    """What the library holds now and has done so far, in the whole process: tls_stats_t."""
    counters = _Stats(size=ctypes.sizeof(_Stats))
    _check(_library.tls_stats(counters))
    return {name: getattr(counters, name) for name in _COUNTERS}


def dump():
    """Who has a value under which key: docs/dump.schema.json. Values are numbers of this module."""
    parts = []

    @_Write
    def write(text, length, _argument):
        parts.append(ctypes.string_at(text, length))
        return 0

    _check(_library.tls_dump(write, None))
    return json.loads(b"".join(parts))


# The main thread's; exit() would destroy nothing, and after this no callback could run.
atexit.register(_library.tls_thread_detach)
