# SPDX-License-Identifier: MIT OR Apache-2.0
"""Each function of the library fails once at each place: nothing is changed, and nothing is lost.

What fails is the function's answer, TLS_ERR_NO_MEMORY, and it is not called.
"""

import asyncio
import contextlib

import pytest
import threadlocalmap
from support import Thing
from threadlocalmap import Context, Error, Key, Map, Scope, _library, generator, local, task, wrap

NO_MEMORY = -4


@contextlib.contextmanager
def failing(name, nth):
    """The nth call of a function has no memory."""
    real, calls = getattr(_library.library, name), []

    def function(*arguments):
        calls.append(name)
        return NO_MEMORY if len(calls) == nth else real(*arguments)

    setattr(_library.library, name, function)
    try:
        yield calls
    finally:
        setattr(_library.library, name, real)


def everything(key, plain):
    """Uses each kind of object once."""
    key.set(Thing())
    plain.set(Thing())
    with Scope():
        plain.set(Thing())
        plain.get()
        plain.take()
    with Context() as context:
        context.run(plain.set, Thing())
    wrap(key.get)()
    task(key.get)()
    map = Map()
    try:
        with map, Scope():
            plain.set(Thing())
    finally:
        map.close()

    @generator
    def items():
        plain.set(Thing())
        yield

    with contextlib.closing(items()) as steps:
        next(steps)

    async def request():
        plain.set(Thing())
        with Scope():
            key.set(Thing())
            await asyncio.sleep(0)

    async def main():
        key.set(Thing())
        await asyncio.gather(request(), request())

    asyncio.run(main())
    mine = local()
    mine.x = 1
    with Key(name="short") as short:
        short.set(Thing())


FUNCTIONS = ("tls_key_create", "tls_set", "tls_take", "tls_scope_begin", "tls_context_capture", "tls_map_create")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_memory_that_runs_out_is_an_error_and_loses_no_object(function):
    made, ended = [], []

    def copy(thing):
        made.append(1)
        return Thing()

    key = Key(copy=copy, destroy=lambda thing, reason: ended.append(1))
    plain = Key(destroy=lambda thing, reason: ended.append(1))
    nth = failures = 0
    while True:
        nth += 1
        with failing(function, nth) as calls:
            try:
                everything(key, plain)
            except Error as error:
                assert error.name == "TLS_ERR_NO_MEMORY"
                failures += 1
        key.remove()
        plain.remove()
        assert key.get() is None and plain.get() is None
        figures = threadlocalmap.stats()
        assert (figures["entries"], figures["contexts"]) == (0, 0)
        if len(calls) < nth:
            break
    assert failures >= 1
    key.close()
    plain.close()


@pytest.mark.parametrize("nth", range(1, 7))
def test_a_map_that_cannot_be_attached_is_an_error_and_the_thread_keeps_its_own(nth):
    with Key() as key:
        key.set("thread's")
        map = Map()
        with failing("tls_map_switch", 2 * nth - 1):  # odd: on the way in
            for _ in range(3):
                with contextlib.suppress(Error), map:
                    key.set("map's")
                assert key.get() == "thread's"
        map.close()
        assert key.get() == "thread's"
