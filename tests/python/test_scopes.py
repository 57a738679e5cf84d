# SPDX-License-Identifier: MIT OR Apache-2.0
"""Scopes: what they hide and end, and when they are refused."""

import contextlib
import contextvars
import threading

import pytest
import threadlocalmap
from support import on_thread
from threadlocalmap import Error, Key, Scope


def test_what_a_scope_sets_ends_with_it_and_what_it_hid_is_back():
    reasons = []
    with Key(destroy=lambda thing, reason: reasons.append((thing, reason))) as key:
        key.set("outer")
        with pytest.raises(ZeroDivisionError), Scope():
            assert key.get() == "outer"
            key.set("inner")
            with Scope():
                assert key.take("hidden") == "hidden"
                assert key.get("nothing") == "nothing"
            assert key.get() == "inner"
            1 / 0
        assert key.get() == "outer"
        assert reasons == [("inner", threadlocalmap.SCOPE_END)]


def test_what_destroy_stores_while_a_scope_ends_ends_with_it():
    ended = []

    def destroy(count, reason):
        ended.append((count, reason))
        if count in (0, 1):
            key.set(count + 1)

    with Key(destroy=destroy) as key:
        key.set("outer")
        with Scope():
            key.set(0)
        assert key.get() == "outer"
        assert ended == [(count, threadlocalmap.SCOPE_END) for count in range(3)]


def test_scopes_that_are_ended_out_of_order_say_so_and_end_as_soon_as_they_can():
    outer, inner = Scope(), Scope()
    with Key() as key:
        outer.__enter__()
        key.set("outer")
        inner.__enter__()
        with pytest.raises(Error, match=r"test_scopes.py:\d+ can't be ended before .*test_scopes.py:\d+") as caught:
            outer.__exit__(None, None, None)
        assert caught.value.name == "TLS_ERR_BUSY"
        assert key.get() == "outer"
        inner.__exit__(None, None, None)
        assert key.get("nothing") == "nothing"


def test_a_scope_is_entered_once_at_a_time_and_left_only_when_it_is_open():
    scope = Scope()
    with scope, pytest.raises(RuntimeError, match="open already"):
        scope.__enter__()
    with pytest.raises(RuntimeError, match="is not open"):
        scope.__exit__(None, None, None)
    with scope:
        pass


def test_a_scope_that_is_ended_on_another_thread_is_refused_and_ends_on_its_own_next():
    ends = []
    with Key(destroy=lambda thing, reason: ends.append((thing, threading.get_ident()))) as key:
        scope = Scope()
        scope.__enter__()
        key.set("inside")

        def leave():
            with pytest.raises(Error, match="in thread .* can't be ended in thread"):
                scope.__exit__(None, None, None)

        on_thread(leave)
        assert ends == []
        assert key.get("nothing") == "nothing"
        assert ends == [("inside", threading.get_ident())]


def test_a_scope_whose_thread_was_detached_says_that_it_has_ended():
    with Key() as key:
        with pytest.raises(Error, match="has ended already"), Scope():
            key.set(1)
            threadlocalmap.detach()
        assert key.get("nothing") == "nothing"


def test_a_context_that_is_not_inside_the_open_scope_is_refused_in_words():
    with Key() as key:
        elsewhere = contextvars.copy_context()
        with Scope():
            key.set("inside")
            for use in (key.get, key.take, key.remove, lambda: key.set(1), lambda: Scope().__enter__()):
                with pytest.raises(Error, match=r"test_scopes.py:\d+ is still open .* held over an await") as caught:
                    elsewhere.run(use)
                assert caught.value.name == "TLS_ERR_BUSY"
            assert contextvars.copy_context().run(key.get) == "inside"
        assert elsewhere.run(key.get) is None


def test_coroutines_that_another_loop_drives_never_see_each_others_values():
    """Each has a context, as in every event loop; there are no tasks of asyncio."""
    with Key() as key:

        class Pause:
            def __await__(self):
                yield

        async def request(name):
            with Scope():
                key.set(name)
                await Pause()
                return key.get()

        contexts = [contextvars.copy_context() for _ in range(2)]
        ann, bob = request("ann"), request("bob")
        contexts[0].run(ann.send, None)
        with pytest.raises(Error, match="held over an await"):
            contexts[1].run(bob.send, None)
        with pytest.raises(StopIteration) as done:
            contexts[0].run(ann.send, None)
        assert done.value.value == "ann"


def test_a_scope_in_a_generator_is_refused_before_it_is_open():
    def items():
        with Scope():
            yield 1

    async def later():
        with Scope():
            yield 1

    def on_a_stack():
        with contextlib.ExitStack() as stack:
            stack.enter_context(Scope())
            yield 1

    @contextlib.contextmanager
    def manager():
        with Scope():
            yield

    def in_a_manager():
        with manager():
            yield 1

    for function in (items, on_a_stack, in_a_manager):
        with pytest.raises(Error, match="put @threadlocalmap.generator before"):
            next(function())
    with pytest.raises(Error, match="put @threadlocalmap.generator before"):
        later().__anext__().send(None)


def test_a_generator_that_contextlib_makes_a_manager_of_may_open_scopes():
    @contextlib.contextmanager
    def inside(value):
        with Scope():
            key.set(value)
            yield

    @contextlib.asynccontextmanager
    async def inside_later(value):
        with Scope():
            key.set(value)
            yield

    async def both():
        async with inside_later("later"):
            return key.get()

    with Key() as key:
        with contextlib.ExitStack() as stack:
            stack.enter_context(inside("now"))
            assert key.get() == "now"
        assert key.get("nothing") == "nothing"
        with pytest.raises(StopIteration) as done:
            both().send(None)
        assert done.value.value == "later"
        assert key.get("nothing") == "nothing"


def test_a_generator_that_is_allowed_to_hold_a_scope_is_left_in_any_order():
    def items():
        with Scope(across_yield=True):
            key.set("generator")
            yield 1

    with Key() as key:
        steps = items()
        next(steps)
        assert key.get() == "generator"
        with Scope():
            with pytest.raises(Error, match="can't be ended before"):
                steps.close()
            key.set("later")
        assert key.get("nothing") == "nothing"


def test_a_generator_with_a_scope_that_is_dropped_on_another_thread_ends_on_its_own():
    def items():
        with Scope(across_yield=True):
            key.set("generator")
            yield 1

    with Key() as key:
        steps = [items()]
        next(steps[0])

        def drop():
            with pytest.raises(Error, match="can't be ended in thread"):
                steps.pop().close()

        on_thread(drop)
        assert key.get("nothing") == "nothing"
