# SPDX-License-Identifier: MIT OR Apache-2.0
"""The shared library: where it is found, how its functions are called, and its errors.

Problem: the functions of libthreadlocalmap take numbers and addresses, and return codes. A process has one
library and one set of its callbacks, but it may have several Python interpreters.

Idea: ctypes, without releasing the GIL, because no function that is used here waits. A code becomes an Error
with the name of the constant, and with the caller's explanation or the library's sentence.

Invariants: only the main interpreter imports the module, because a callback can't find out which interpreter
it belongs to. Every function that is called has its signature in _SIGNATURES.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
from typing import Optional

SONAME = "libthreadlocalmap.so.0"

# The reasons: why a value was destroyed.
REPLACED, REMOVED, KEY_DEAD, PURGED, SCOPE_END, THREAD_EXIT, DETACHED, MAP_DESTROYED = range(1, 9)

OK, ERR_DEAD_KEY, ERR_INVALID, ERR_ABSENT, ERR_REENTRANT = 0, -2, -3, -5, -7
ERR_INIT, ERR_EXITING, ERR_BUSY = -8, -9, -10
FLAG_ENUMERABLE, FLAG_WORKER, FLAG_INHERIT, FLAG_EXPLICIT = 1, 2, 4, 8

POINTER = ctypes.c_void_p
NUMBER = ctypes.c_uint64
DESTROY = ctypes.CFUNCTYPE(None, POINTER, ctypes.c_int, POINTER)
COPY = ctypes.CFUNCTYPE(ctypes.c_int, POINTER, ctypes.POINTER(POINTER), POINTER)
VISIT = ctypes.CFUNCTYPE(ctypes.c_int, POINTER, NUMBER, POINTER)
VISIT_LOCAL = TAKE = ctypes.CFUNCTYPE(None, NUMBER, POINTER, POINTER)
WRITE = ctypes.CFUNCTYPE(ctypes.c_int, POINTER, ctypes.c_size_t, POINTER)


class Options(ctypes.Structure):
    """tls_key_options_t"""

    _fields_ = [
        ("size", ctypes.c_size_t),
        ("name", ctypes.c_char_p),
        ("destroy", DESTROY),
        ("init", POINTER),
        ("copy", COPY),
        ("user", POINTER),
        ("user_free", POINTER),
        ("reclaim", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
    ]


COUNTERS = (
    "keys dead_keys maps entries stale expunged destroyed leaked rehashes longest_probe capacity "
    "bytes unwatched contexts unscoped"
).split()


class Stats(ctypes.Structure):
    """tls_stats_t"""

    _fields_ = [("size", ctypes.c_size_t), *((name, NUMBER) for name in COUNTERS)]


_SIGNATURES = {
    "tls_key_create": (ctypes.c_int, ctypes.POINTER(NUMBER), ctypes.POINTER(Options)),
    "tls_key_release": (ctypes.c_int, NUMBER),
    "tls_key_is_live": (ctypes.c_bool, NUMBER),
    "tls_get_existing": (POINTER, NUMBER),
    "tls_try_get": (ctypes.c_int, NUMBER, ctypes.POINTER(POINTER)),
    "tls_set": (ctypes.c_int, NUMBER, POINTER),
    "tls_take": (ctypes.c_int, NUMBER, ctypes.POINTER(POINTER)),
    "tls_remove": (ctypes.c_int, NUMBER),
    "tls_expunge": (ctypes.c_size_t,),
    "tls_stale_count": (ctypes.c_size_t,),
    "tls_thread_detach": (ctypes.c_int,),
    "tls_for_each": (ctypes.c_int, NUMBER, VISIT, POINTER),
    "tls_scrape": (ctypes.c_int, NUMBER, VISIT, POINTER),
    "tls_for_each_local": (ctypes.c_int, VISIT_LOCAL, POINTER),
    "tls_take_all": (ctypes.c_int, TAKE, POINTER),
    "tls_scope_begin": (ctypes.c_int, ctypes.POINTER(NUMBER), POINTER),
    "tls_scope_end": (ctypes.c_int, NUMBER),
    "tls_context_capture": (ctypes.c_int, ctypes.POINTER(POINTER)),
    "tls_context_free": (None, POINTER),
    "tls_map_create": (ctypes.c_int, ctypes.POINTER(POINTER)),
    "tls_map_destroy": (ctypes.c_int, POINTER),
    "tls_map_current": (POINTER,),
    "tls_map_switch": (ctypes.c_int, POINTER, ctypes.POINTER(POINTER)),
    "tls_stats": (ctypes.c_int, ctypes.POINTER(Stats)),
    "tls_dump": (ctypes.c_int, WRITE, POINTER),
    "tls_strerror": (ctypes.c_char_p, ctypes.c_int),
    "tls_err_name": (ctypes.c_char_p, ctypes.c_int),
}


def _refuse_subinterpreters() -> None:
    functions = ctypes.pythonapi
    functions.PyInterpreterState_Get.restype = POINTER
    functions.PyInterpreterState_Main.restype = POINTER
    if functions.PyInterpreterState_Get() != functions.PyInterpreterState_Main():
        raise ImportError(
            "threadlocalmap works in the main interpreter only: the library calls back when threads end, "
            "and can't find out which interpreter their objects belong to"
        )


def _path() -> str:
    """The library that THREADLOCALMAP_LIBRARY names; otherwise the one in the wheel; otherwise the system's."""
    asked = os.environ.get("THREADLOCALMAP_LIBRARY")
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), SONAME)
    if asked:
        return asked
    if os.path.exists(beside):
        return beside
    return ctypes.util.find_library("threadlocalmap") or SONAME


def _load() -> ctypes.PyDLL:
    try:
        loaded = ctypes.PyDLL(_path())
        for name, (result, *arguments) in _SIGNATURES.items():
            function = getattr(loaded, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        raise ImportError(
            f"threadlocalmap needs {SONAME}: install it, or set THREADLOCALMAP_LIBRARY to its path ({error})"
        ) from error
    return loaded


_refuse_subinterpreters()
library = _load()


class Error(Exception):
    """A function of the library has failed. `code` is the TLS_ERR_* number, `name` the name of the constant."""

    def __init__(self, code: int, why: Optional[str] = None) -> None:
        super().__init__(code, why)
        self.code = code
        self.why = why
        self.name: str = library.tls_err_name(code).decode()

    def __str__(self) -> str:
        return f"{self.name}: {self.why or library.tls_strerror(self.code).decode()}"


def check(code: int, why: Optional[str] = None) -> None:
    if code != OK:
        raise Error(code, why)
