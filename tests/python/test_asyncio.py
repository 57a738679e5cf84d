# SPDX-License-Identifier: MIT OR Apache-2.0
"""Tasks of asyncio: each has values of its own, which end with it."""

import asyncio
import contextvars
import gc
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
import threadlocalmap
from support import PATIENCE, Thing, collect, on_thread
from threadlocalmap import Error, Key, Scope, task, wrap


def test_two_requests_of_one_thread_never_see_each_others_user():
    ends = []
    with Key(name="user", destroy=lambda user, reason: ends.append(user)) as user:

        async def request(name, start, stop):
            await asyncio.sleep(start)
            with Scope():
                user.set(name)
                await asyncio.sleep(stop)
                return user.get()

        async def main():
            return await asyncio.gather(request("ann", 0, 0.02), request("bob", 0.01, 0.03))

        assert asyncio.run(main()) == ["ann", "bob"]
        assert ends == ["ann", "bob"]
        assert user.get("nobody") == "nobody"


def test_requests_without_a_scope_are_apart_too_and_their_values_end_with_their_tasks():
    ends = []
    with Key(destroy=lambda user, reason: ends.append((user, reason))) as user:

        async def request(name):
            user.set(name)
            for _ in range(5):
                await asyncio.sleep(0)
                assert user.get() == name
            return user.get()

        async def main():
            names = [f"user {number}" for number in range(50)]
            assert await asyncio.gather(*map(request, names)) == names
            assert user.get("nobody") == "nobody"
            await asyncio.sleep(0)
            assert sorted(ends) == sorted((name, threadlocalmap.MAP_DESTROYED) for name in names)

        asyncio.run(main())


def test_a_task_begins_with_copies_of_what_copy_keys_had_when_it_was_made():
    with Key(copy=dict) as request, Key() as plain:

        async def child():
            mine = request.get()
            mine["seen"] = True
            request.set({"id": "child's"})
            return mine, plain.get("nothing")

        async def main():
            plain.set("parent's")
            children = []
            for number in range(3):
                request.set({"id": number})
                children.append(asyncio.create_task(child()))
            request.set({"id": "parent's"})
            assert await asyncio.gather(*children) == [({"id": n, "seen": True}, "nothing") for n in range(3)]
            assert request.get() == {"id": "parent's"}
            # asyncio.wait_for() makes a task of what it waits for, up to Python 3.11.
            assert (await asyncio.wait_for(child(), PATIENCE))[0]["id"] == "parent's"

        request.set({"id": "thread's"})
        asyncio.run(main())
        assert request.get() == {"id": "thread's"}


def test_a_copy_of_an_object_that_was_destroyed_meanwhile_is_never_made():
    with Key(copy=lambda thing: thing, destroy=lambda thing, reason: setattr(thing, "over", True)) as key:

        async def child():
            return key.get("nothing")

        async def main():
            key.set(Thing())
            waiting = asyncio.create_task(child())
            key.set(Thing())  # destroys the first, before the child has begun
            return await waiting

        assert asyncio.run(main()) == "nothing"


def test_removed_and_scoped_values_are_not_taken_along():
    with Key(copy=lambda thing: thing) as key:

        async def child():
            return key.get("nothing")

        async def main():
            key.set("outer")
            with Scope():
                key.set("inner")
                assert await asyncio.create_task(child()) == "inner"
            assert await asyncio.create_task(child()) == "outer"
            key.take()
            assert await asyncio.create_task(child()) == "nothing"
            key.set("again")
            key.remove()
            assert await asyncio.create_task(child()) == "nothing"

        asyncio.run(main())


def test_a_copy_that_raises_is_an_error_where_the_task_first_uses_a_key():
    with Key(copy=lambda thing: 1 / 0) as key, Key() as other:

        async def child():
            for _ in range(2):
                with pytest.raises(Error, match="TLS_ERR_INIT: a key's copy has raised ZeroDivisionError") as caught:
                    other.set(1)
                assert isinstance(caught.value.__cause__, ZeroDivisionError)

        async def main():
            key.set(1)
            await asyncio.create_task(child())

        asyncio.run(main())


def test_worker_keys_are_the_threads_in_every_task():
    with Key(worker=True) as cache:

        async def child():
            cache.set("child's")

        async def main():
            await asyncio.create_task(child())
            return cache.get()

        assert asyncio.run(main()) == "child's"
        assert cache.get() == "child's"


def test_a_task_that_is_cancelled_in_a_scope_ends_it_and_then_its_own_values():
    ends = []
    with Key(destroy=lambda thing, reason: ends.append((thing, reason))) as key:

        async def request():
            key.set("task's")
            with Scope():
                key.set("scope's")
                await asyncio.sleep(PATIENCE)

        async def main():
            running = asyncio.create_task(request())
            await asyncio.sleep(0)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            await asyncio.sleep(0)
            never_begun = asyncio.create_task(request())
            never_begun.cancel()
            await asyncio.wait([never_begun])

        asyncio.run(main())
        assert ends == [("scope's", threadlocalmap.SCOPE_END), ("task's", threadlocalmap.MAP_DESTROYED)]


def test_a_task_that_its_loop_leaves_behind_ends_when_it_is_collected():
    ends = []
    with Key(destroy=lambda thing, reason: ends.append((thing, threading.get_ident()))) as key:

        async def forever():
            key.set("left")
            await asyncio.get_running_loop().create_future()

        loop = asyncio.new_event_loop()
        left = loop.create_task(forever())
        left._log_destroy_pending = False
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        assert ends == []
        del left, loop
        collect()
        assert ends == [("left", threading.get_ident())]


def test_a_task_that_is_collected_on_another_thread_ends_on_its_own():
    ends = []
    with Key(destroy=lambda thing, reason: ends.append((thing, threading.get_ident()))) as key:

        async def forever():
            key.set("left")
            await asyncio.get_running_loop().create_future()

        loop = asyncio.new_event_loop()
        left = [loop.create_task(forever())]
        left[0]._log_destroy_pending = False
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        del loop
        gc.disable()
        try:
            on_thread(lambda: (left.clear(), collect()))
            assert ends == []
            key.get()
            assert ends == [("left", threading.get_ident())]
        finally:
            gc.enable()


def test_a_key_that_is_closed_by_one_task_is_stale_in_the_others_and_ends_there():
    ends = []
    key = Key(destroy=lambda thing, reason: ends.append((thing, reason)))

    async def holder(closed):
        key.set("holder's")
        await closed.wait()
        assert threadlocalmap.stale_count() == 1
        assert threadlocalmap.expunge() == 1

    async def main():
        key.set("main's")
        closed = asyncio.Event()
        holding = asyncio.create_task(holder(closed))
        await asyncio.sleep(0)
        key.close()
        assert ends == [("main's", threadlocalmap.KEY_DEAD), ("thread's", threadlocalmap.KEY_DEAD)]
        closed.set()
        await holding
        assert ends[2:] == [("holder's", threadlocalmap.KEY_DEAD)]

    key.set("thread's")
    asyncio.run(main())
    assert len(ends) == 3


def test_what_a_destroy_stores_at_the_end_of_its_task_ends_with_the_task():
    ends = []

    def destroy(count, reason):
        ends.append(count)
        if count < 3:
            key.set(count + 1)

    with Key(destroy=destroy) as key:

        async def main():
            key.set(0)

        asyncio.run(main())
        assert ends == [0, 1, 2, 3]
        assert key.get("nothing") == "nothing"


def test_a_loop_on_each_of_several_threads_keeps_its_tasks_apart():
    with Key(destroy=lambda thing, reason: ends.append((thing.thread, threading.get_ident()))) as key:
        ends = []

        async def request():
            key.set(thing := Thing())
            for _ in range(20):
                await asyncio.sleep(0)
                assert key.get() is thing

        async def main():
            await asyncio.gather(*(request() for _ in range(30)))

        with ThreadPoolExecutor(4) as pool:
            for each in [pool.submit(lambda: asyncio.run(main())) for _ in range(4)]:
                each.result(PATIENCE)
        assert len(ends) == 120 and all(stored == ended for stored, ended in ends)


def test_a_thread_that_a_task_calls_has_its_own_values_and_takes_along_what_is_wrapped():
    with Key(copy=lambda thing: thing) as user:

        async def main():
            user.set("ann")
            loop = asyncio.get_running_loop()
            inside = contextvars.copy_context()
            with ThreadPoolExecutor(1) as pool:
                assert await loop.run_in_executor(pool, inside.run, user.get) is None
                assert await loop.run_in_executor(pool, wrap(user.get)) == "ann"
                assert await loop.run_in_executor(pool, inside.run, task(user.get)) == "ann"
                assert await loop.run_in_executor(pool, user.get) is None

        asyncio.run(main())


def test_wrapped_coroutines_hold_their_scope_over_an_await_and_no_longer():
    ends = []
    with Key(copy=lambda thing: thing, destroy=lambda thing, reason: ends.append((thing, reason))) as user:

        async def request():
            await asyncio.sleep(0)
            seen = user.get()
            user.set("inner")
            await asyncio.sleep(0)
            return seen

        async def main():
            user.set("ann")
            again, once = wrap(request), task(request)
            user.set("bob")
            assert await again() == "ann"
            assert user.get() == "bob"
            assert await asyncio.gather(again(), again(), once()) == ["ann"] * 3
            with pytest.raises(RuntimeError, match="a task runs once"):
                once()

        asyncio.run(main())
    assert [reason for thing, reason in ends if thing == "inner"] == [threadlocalmap.SCOPE_END] * 4


def test_a_scope_that_one_task_opens_and_another_leaves_is_refused_in_words():
    async def enter(scope):
        scope.__enter__()

    async def leave(scope):
        with pytest.raises(Error, match="in task .* can't be ended in task"):
            scope.__exit__(None, None, None)

    async def leave_late(scope):
        with pytest.raises(Error, match="has ended already, with task"):
            scope.__exit__(None, None, None)

    async def main():
        scope = Scope()
        opening = asyncio.create_task(enter(scope))
        leaving = asyncio.create_task(leave(scope))
        await asyncio.gather(opening, leaving)
        await asyncio.sleep(0)
        await leave_late(scope)

    asyncio.run(main())


@pytest.mark.skipif(sys.version_info < (3, 11), reason="create_task() has a context since Python 3.11")
def test_two_tasks_that_share_a_context_of_contextvars_are_apart():
    with Key() as key:

        async def request(name):
            with Scope():
                key.set(name)
                await asyncio.sleep(0)
                with Scope():
                    await asyncio.sleep(0)
                    return key.get()

        async def main():
            shared = contextvars.copy_context()
            return await asyncio.gather(*(asyncio.create_task(request(name), context=shared) for name in "ab"))

        assert asyncio.run(main()) == ["a", "b"]


def test_a_task_and_its_values_in_a_cycle_are_collected_with_the_key():
    async def main():
        thing = Thing()
        thing.task = asyncio.current_task()
        thing.key = Key()
        thing.key.set(thing)
        return weakref.ref(thing)

    watched = asyncio.run(main())
    collect()
    assert watched() is None


def test_a_thread_in_a_scope_may_run_a_loop_and_is_in_its_scope_afterwards():
    with Key() as key:

        async def main():
            assert key.get("nothing") == "nothing"
            key.set("task's")
            await asyncio.sleep(0)

        with Scope():
            key.set("scope's")
            asyncio.run(main())
            assert key.get() == "scope's"
        assert key.get("nothing") == "nothing"
