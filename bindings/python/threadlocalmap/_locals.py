# SPDX-License-Identifier: MIT OR Apache-2.0
"""`local`, a replacement for threading.local.

Problem: the attributes of a threading.local live until their thread or the object ends. Programs use
threading.local in many ways, so a replacement must behave in the same way in all cases: subclasses whose
__init__ is called once on each thread, __slots__, descriptors, cycles, threads that end.

Idea: the attributes of a thread are a dictionary, which the thread stores under a worker key of the local. An
attribute is looked up as `object` does it, with this dictionary in place of the instance's dictionary. So no
dictionary is exchanged, and no lock is needed.

Invariants:
- The dictionaries are in the local's table, where the garbage collector finds them. They are dropped together
  with the local, on any thread, as those of threading.local are.
- If __init__ fails on a thread, the thread's dictionary is dropped, and made again at the next access.
- Scopes, tasks and maps have no effect: attributes belong to the thread.
"""

from __future__ import annotations

from typing import Any

from ._keys import Key
from ._library import library
from ._strands import over
from ._values import Table, perform_here


class _Attributes:
    """The key of a local, with the arguments for its __init__."""

    __slots__ = ("key", "arguments", "named", "__weakref__")

    def __init__(self, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        self.key = _LocalKey()
        self.arguments, self.named = arguments, named


class _LocalKey(Key["dict[str, Any]"]):
    """When it is dropped, its objects are dropped too, on any thread. (Objects of other keys stay until their
    threads destroy them.)"""

    def _make(self, table: Table) -> Table:
        return super()._make(Table(None, None, kept=False))

    def __init__(self) -> None:
        super().__init__(worker=True)

    def __del__(self, over: list[None] = over) -> None:
        if self._key and not over:
            perform_here(library.tls_key_release, self._key)


def _of_class(cls: type, name: str) -> Any:
    for each in cls.__mro__:
        if name in each.__dict__:
            return each.__dict__[name]
    return _NOTHING


_NOTHING: Any = object()
_attributes: Any  # the slot of `local`; it is used directly, and not through __getattribute__


def _dictionary(self: local) -> dict[str, Any]:
    own_attributes: _Attributes = _attributes.__get__(self)
    key = own_attributes.key
    found = key.get()
    if found is not None:
        return found
    made: dict[str, Any] = {}
    key.set(made)
    try:
        type(self).__init__(self, *own_attributes.arguments, **own_attributes.named)
    except BaseException:
        key.remove()
        raise
    return made


class local:
    """Does what threading.local does: each thread has attributes of its own."""

    __slots__ = ("__attributes", "__weakref__")

    def __new__(cls, /, *arguments: Any, **named: Any) -> Any:
        if (arguments or named) and cls.__init__ is object.__init__:
            raise TypeError("Initialization arguments are not supported")
        self = object.__new__(cls)
        made = _Attributes(arguments, named)
        made.key.set({})  # on this thread, the caller of __new__ calls __init__
        _attributes.__set__(self, made)
        return self

    def __getattribute__(self, name: str) -> Any:
        dictionary = _dictionary(self)
        if name == "__dict__":
            return dictionary
        cls = type(self)
        found = _of_class(cls, name)
        kind = type(found)
        if found is not _NOTHING and hasattr(kind, "__get__") and (hasattr(kind, "__set__") or hasattr(kind, "__delete__")):
            return kind.__get__(found, self, cls)
        if name in dictionary:
            return dictionary[name]
        if found is _NOTHING:
            raise _no_attribute(self, name)
        return kind.__get__(found, self, cls) if hasattr(kind, "__get__") else found

    def __setattr__(self, name: str, value: Any) -> None:
        dictionary = _dictionary(self)
        _refuse_dict(self, name)
        found = _of_class(type(self), name)
        kind = type(found)
        if hasattr(kind, "__set__"):
            kind.__set__(found, self, value)
        elif hasattr(kind, "__delete__"):
            raise AttributeError("__set__")
        else:
            dictionary[name] = value

    def __delattr__(self, name: str) -> None:
        dictionary = _dictionary(self)
        _refuse_dict(self, name)
        found = _of_class(type(self), name)
        kind = type(found)
        if hasattr(kind, "__delete__"):
            kind.__delete__(found, self)
        elif hasattr(kind, "__set__"):
            raise AttributeError("__delete__")
        elif name in dictionary:
            del dictionary[name]
        else:
            raise _no_attribute(self, name)

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError(f"cannot pickle {type(self).__name__!r} object")


_attributes = local.__dict__["_local__attributes"]


def _no_attribute(self: local, name: str) -> AttributeError:
    error = AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
    error.name, error.obj = name, self  # type: ignore[attr-defined,unused-ignore]
    return error


def _refuse_dict(self: local, name: str) -> None:
    if name == "__dict__":
        raise AttributeError(f"{type(self).__name__!r} object attribute '__dict__' is read-only")
