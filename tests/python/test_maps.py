# SPDX-License-Identifier: MIT OR Apache-2.0
"""Maps: values of greenlets, generators, and tasks of loops that are not asyncio's."""

import asyncio
import contextlib
import contextvars
import gc
import threading

import pytest
import threadlocalmap
from support import PATIENCE, Thing, collect, on_thread
from threadlocalmap import Error, Key, Map, Scope, generator


def test_a_map_has_values_of_its_own_and_copies_of_what_copy_keys_had():
    with Key() as plain, Key(copy=dict) as request, Key(worker=True) as cache:
        plain.set("thread's"), request.set({"id": 1}), cache.set("thread's")
        map = Map()
        request.set({"id": 2})
        with map:
            assert (plain.get(), request.get(), cache.get()) == (None, {"id": 1}, "thread's")
            plain.set("map's")
        assert (plain.get(), request.get()) == ("thread's", {"id": 2})
        assert map.run(plain.get) == "map's"
        assert map.run(divmod, 7, 2) == (3, 1)
        map.close()
        map.close()
        with pytest.raises(Error, match="this map was closed"):
            map.run(plain.get)


def test_a_map_that_is_dropped_ends_its_values_on_the_thread_that_it_ran_on():
    ends = []
    with Key(destroy=lambda thing, reason: ends.append((threading.get_ident(), reason))) as key:
        maps = [Map()]
        maps[0].run(key.set, Thing())
        on_thread(maps.clear)
        assert ends == []
        key.get()
        assert ends == [(threading.get_ident(), threadlocalmap.MAP_DESTROYED)]


def test_a_map_whose_thread_has_ended_ends_where_it_is_dropped():
    ends = []
    with Key(destroy=lambda thing, reason: ends.append(threading.get_ident())) as key:
        maps = []

        def make():
            maps.append(Map())
            maps[0].run(key.set, Thing())

        on_thread(make)
        assert ends == []
        maps.clear()
        assert ends == [threading.get_ident()]


def test_what_was_dropped_elsewhere_ends_with_the_thread_at_the_latest():
    ends = []
    with Key(destroy=lambda thing, reason: ends.append(threading.get_ident())) as key:
        maps, dropped, made = [], threading.Event(), threading.Event()

        def make():
            maps.append(Map())
            maps[0].run(key.set, Thing())
            made.set()
            dropped.wait(PATIENCE)

        thread = threading.Thread(target=make)
        thread.start()
        made.wait(PATIENCE)
        number = thread.ident
        maps.clear()
        assert ends == []
        dropped.set()
        thread.join(PATIENCE)
        assert ends == [number]


def test_a_map_is_entered_on_one_thread_at_a_time_and_left_where_it_was_entered():
    map = Map()
    with map:
        with pytest.raises(Error, match="entered already, in thread"):
            on_thread(lambda: map.run(int))
        with pytest.raises(Error, match="leave it first"):
            map.close()
        with pytest.raises(Error, match="can't be left here"):
            contextvars.Context().run(map.__exit__, None, None, None)
        with map:
            pass
    map.run(int)
    map.close()


def test_coroutines_of_another_loop_may_hold_scopes_and_values_in_a_map():
    with Key() as key:

        class Pause:
            def __await__(self):
                yield

        async def request(name):
            with Map(), Scope():
                key.set(name)
                await Pause()
                with Scope():
                    await Pause()
                    return key.get()

        running = [(contextvars.copy_context(), request(name)) for name in ("ann", "bob")]
        for _ in range(2):
            for context, coroutine in running:
                context.run(coroutine.send, None)
        for name, (context, coroutine) in zip(("ann", "bob"), running):
            with pytest.raises(StopIteration) as done:
                context.run(coroutine.send, None)
            assert done.value.value == name
        assert key.get("nothing") == "nothing"
        del running, context, coroutine, done
        gc.collect()


def test_a_generator_with_values_of_its_own_is_not_seen_by_its_caller():
    ends = []
    with Key(destroy=lambda thing, reason: ends.append((thing, reason))) as key, Key(copy=list) as request:

        @generator
        def items(count):
            with Scope():
                key.set("generator's")
                for number in range(count):
                    got = yield (number, key.get(), request.get())
                    assert got in (None, "sent")
                    assert key.get() == "generator's"

        key.set("caller's")
        request.set([1])
        steps = items(2)
        request.set([2])
        assert next(steps) == (0, "generator's", [1])
        assert key.get() == "caller's"
        with Scope():
            key.set("later")
            assert steps.send("sent") == (1, "generator's", [1])
            assert key.get() == "later"
        assert list(steps) == []
        assert ends == [("later", threadlocalmap.SCOPE_END), ("generator's", threadlocalmap.SCOPE_END)]


def test_a_generator_that_is_closed_on_another_thread_ends_its_scope_there_and_nothing_of_others():
    ends = []
    with Key(destroy=lambda thing, reason: ends.append(thing)) as key:

        @generator
        def items():
            try:
                with Scope():
                    key.set("generator's")
                    yield
            finally:
                key.set("finally's")

        for leave in (lambda steps: steps.pop().close(), list.clear):
            steps = [items()]
            next(steps[0])

            def there():
                key.set("there")
                leave(steps)
                assert key.get() == "there"

            key.set("here")
            on_thread(there)
            assert key.get() == "here"
            assert ends[:2] == ["generator's", "finally's"] and "here" not in ends
            key.remove()
            ends.clear()


def test_a_generator_that_has_ended_has_no_values_left_though_it_is_still_there():
    ends = []
    with Key(destroy=lambda thing, reason: ends.append(reason)) as key:

        @generator
        def items():
            key.set("generator's")
            yield 1

        steps = items()
        assert list(steps) == [1]
        assert ends == [threadlocalmap.MAP_DESTROYED]
        del steps


def test_errors_pass_through_a_generator_and_end_it():
    @generator
    def items():
        try:
            yield 1
        except KeyError:
            yield 2

    steps = items()
    next(steps)
    assert steps.throw(KeyError) == 2
    with pytest.raises(ZeroDivisionError):
        steps.throw(ZeroDivisionError)
    for _ in range(2):
        with pytest.raises(StopIteration):
            next(steps)
        steps.close()
    items().close()
    with pytest.raises(TypeError, match="functions with a yield"):
        generator(int)


def test_an_asynchronous_generator_with_values_of_its_own_is_not_seen_by_its_caller():
    with Key() as key:

        @generator
        async def items():
            with Scope():
                key.set("generator's")
                for number in range(3):
                    await asyncio.sleep(0)
                    yield number, key.get()

        async def main():
            key.set("task's")
            seen = []
            async for item in items():
                seen.append(item)
                assert key.get() == "task's"
            assert seen == [(number, "generator's") for number in range(3)]
            early = items()
            async for _ in early:
                break
            await early.aclose()
            await early.aclose()
            with pytest.raises(StopAsyncIteration):
                await early.asend(None)

        asyncio.run(main())


def test_a_task_that_is_made_inside_a_map_has_values_of_its_own():
    with Key() as key:

        async def child():
            seen = key.get("nothing")
            key.set("child's")
            await asyncio.sleep(0)
            return seen

        async def main():
            with Map() as map:
                key.set("map's")
                assert await asyncio.create_task(child()) == "nothing"
                assert key.get() == "map's"
            map.close()

        asyncio.run(main())


def test_greenlets_in_maps_are_apart_and_a_scope_without_one_is_refused():
    greenlet = pytest.importorskip("greenlet")
    main = greenlet.getcurrent()
    with Key() as key:

        def apart(name):
            with Map() as map, Scope():
                key.set(name)
                main.switch()
                seen = key.get()
            map.close()
            return seen

        both = {name: greenlet.greenlet(apart) for name in ("ann", "bob")}
        for name, each in both.items():
            each.switch(name)
        assert key.get("nothing") == "nothing"
        assert {name: each.switch() for name, each in both.items()} == {"ann": "ann", "bob": "bob"}

        def together():
            with Scope():
                key.set("inside")
                main.switch()

        held = greenlet.greenlet(together)
        held.switch()
        with pytest.raises(Error, match="switch of greenlets"):
            key.get()
        held.switch()
        assert key.get("nothing") == "nothing"
        del both, each, held
        gc.collect()


def test_a_greenlet_that_is_killed_in_a_map_leaves_nothing():
    greenlet = pytest.importorskip("greenlet")
    main = greenlet.getcurrent()
    ends = []
    with Key(destroy=lambda thing, reason: ends.append(thing)) as key:

        def work():
            with Map(), Scope():
                key.set("inside")
                main.switch()

        killed = greenlet.greenlet(work)
        killed.switch()
        killed.throw()
        assert ends == ["inside"]
        del killed
        gc.collect()


def test_values_of_a_map_wait_for_no_thread_that_c_made():
    """Its end can't be seen by Python, so what it leaves behind ends where it is dropped."""
    import _thread

    ends, maps, done = [], [], threading.Event()
    with Key(destroy=lambda thing, reason: ends.append(thing)) as key:

        def make():
            maps.append(Map())
            maps[0].run(key.set, "left")
            done.set()

        _thread.start_new_thread(make, ())
        assert done.wait(PATIENCE)
        maps.clear()
        collect()
        assert ends == ["left"]
        with contextlib.suppress(Error):
            threadlocalmap.expunge()
