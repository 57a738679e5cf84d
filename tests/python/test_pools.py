# SPDX-License-Identifier: MIT OR Apache-2.0
"""Pools: task() and wrap(), contexts that are used again, workers that are left as they were."""

import functools
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import threadlocalmap
from support import PATIENCE, Thing, collect, on_thread
from threadlocalmap import Context, Error, Key, Scope, _values, task, wrap

WORKERS, TASKS, OBJECTS = 4, 400, 25


def on_each_worker(pool, function):
    """Calls a function once on each of the pool's threads, and on all at the same time."""
    barrier = threading.Barrier(WORKERS)

    def meet():
        barrier.wait(PATIENCE)
        result = function()
        barrier.wait(PATIENCE)
        return result

    return [each.result(PATIENCE) for each in [pool.submit(meet) for _ in range(WORKERS)]]


def test_tasks_and_dead_objects_leave_nothing_in_an_executors_workers():
    ends = []
    before = threadlocalmap.stats()["entries"]
    cache = Key(name="cache", worker=True)
    outer = Key(name="outer")

    def work(number):
        keys = [Key(name=f"{number}") for _ in range(OBJECTS)]
        for key in keys:
            key.set(Thing(ends))
        outer.set(number)
        if cache.get() is None:
            cache.set(Thing(ends))
        for key in keys[::2]:
            key.close()
        return number, keys[1::2]  # these are closed by another thread

    with ThreadPoolExecutor(WORKERS) as pool:
        on_each_worker(pool, lambda: outer.set(threading.get_ident()))
        for number, keys in pool.map(wrap(work), range(TASKS)):
            assert len(keys) == OBJECTS // 2
        del keys
        assert len(ends) == TASKS * OBJECTS
        assert all(on_each_worker(pool, lambda: outer.get() == threading.get_ident()))
        assert sum(on_each_worker(pool, threadlocalmap.expunge)) == 0
        # What is left: outer's objects, and a cache for each worker that has had a task.
        left = threadlocalmap.stats()["entries"] - before
        assert WORKERS < left <= 2 * WORKERS
    assert threadlocalmap.stats()["entries"] == before
    assert [pair for pair in ends if pair[0] != pair[1]] == []
    cache.close()
    outer.close()


def test_idle_workers_destroy_their_stale_objects_when_they_next_have_a_task():
    ends, keys = [], [Key() for _ in range(OBJECTS)]
    with ThreadPoolExecutor(WORKERS) as pool:
        on_each_worker(pool, lambda: [key.set(Thing(ends)) for key in keys] and None)
        for key in keys:
            key.close()
        assert ends == []
        assert on_each_worker(pool, threadlocalmap.stale_count) == [OBJECTS] * WORKERS
        on_each_worker(pool, lambda: task(lambda: None)())
        assert len(ends) == WORKERS * OBJECTS
        assert on_each_worker(pool, threadlocalmap.stale_count) == [0] * WORKERS
    assert [pair for pair in ends if pair[0] != pair[1]] == []


@pytest.mark.parametrize("make", [task, wrap])
def test_results_and_exceptions_pass_through(make):
    with ThreadPoolExecutor(1) as pool, Key() as key:

        def fail():
            key.set(1)
            raise KeyError("mine")

        assert pool.submit(make(divmod), 7, 2).result(PATIENCE) == (3, 1)
        assert pool.submit(make(dict), a=1).result(PATIENCE) == {"a": 1}
        with pytest.raises(KeyError, match="mine"):
            pool.submit(make(fail)).result(PATIENCE)
        assert pool.submit(key.get).result(PATIENCE) is None


def test_a_task_runs_once_and_says_so():
    once = task(int)
    assert once() == 0
    with pytest.raises(RuntimeError, match="a task runs once: .* or use wrap"):
        once()


def test_a_task_is_given_the_copy_itself_and_a_wrapped_function_a_copy_of_it_each_time():
    copies, ends = [], []

    def copy(thing):
        copies.append(thing)
        return dict(thing)

    with Key(copy=copy, destroy=lambda thing, reason: ends.append(thing["id"])) as request, ThreadPoolExecutor(1) as pool:
        request.set({"id": 7})
        taken, again = task(request.get), wrap(request.get)
        assert len(copies) == 2
        request.get()["id"] = 8
        assert pool.submit(taken).result(PATIENCE) == {"id": 7}
        assert len(copies) == 2 and ends == [7]
        assert list(pool.map(lambda _: again(), range(3))) == [{"id": 7}] * 3
        assert len(copies) == 5 and ends == [7] * 4
        assert pool.submit(request.get).result(PATIENCE) is None
        del taken, again
        assert ends == [7] * 5


def test_a_task_that_is_never_run_drops_what_it_has_taken_along():
    ends = []
    with Key(copy=dict, destroy=lambda thing, reason: ends.append(thing)) as request:
        before = threadlocalmap.stats()["contexts"]
        request.set({})
        never_run = task(request.get)
        assert threadlocalmap.stats()["contexts"] == before + 1
        del never_run
        assert threadlocalmap.stats()["contexts"] == before
        assert len(ends) == 1


def test_a_context_is_used_again_by_many_threads_at_once_and_closed_under_them():
    made, ended = [], []

    def copy(thing):
        made.append(1)
        return dict(thing)

    with Key(copy=copy, destroy=lambda thing, reason: ended.append(1)) as request, ThreadPoolExecutor(WORKERS) as pool:
        request.set({"id": 7})
        context = Context()
        began = threading.Event()

        def work(number):
            if number == 100:
                began.set()
            try:
                return context.run(lambda: (request.get()["id"], request.set({"id": 0})))[0]
            except Error as error:
                assert "this context was closed" in str(error)
                return None

        results = pool.map(work, range(400))
        assert began.wait(PATIENCE)
        context.close()
        context.close()
        results = list(results)
        assert set(results) <= {7, None} and results.count(7) >= 50
        request.remove()
        # Each copy, each set({"id": 0}), and the one that was captured from.
        assert len(ended) == len(made) + results.count(7) + 1


def test_a_context_that_is_closed_while_a_scope_begins_with_it_is_freed_afterwards(monkeypatch):
    with Key(copy=lambda thing: thing) as key:
        key.set("captured")
        context = Context()
        add, contexts = _values.Table.add, []

        def close_and_add(table, object):  # in the middle of tls_scope_begin()
            context.close()
            contexts.append(threadlocalmap.stats()["contexts"])
            return add(table, object)

        monkeypatch.setattr(_values.Table, "add", close_and_add)
        assert context.run(key.get) == "captured"
        monkeypatch.undo()
        assert contexts == [1] and threadlocalmap.stats()["contexts"] == 0


def test_a_scope_with_a_context_hides_what_was_unset_where_it_was_captured():
    with Key(copy=dict) as request, Key() as plain, Context() as empty:
        request.set({"id": 1})
        plain.set("thread's")
        with Context() as full:
            with Scope(empty):
                assert request.get("nothing") == "nothing"
                assert plain.get() == "thread's"
                with Scope(full):
                    assert request.get() == {"id": 1}
        assert request.get() == {"id": 1}


def test_a_context_of_a_task_inside_a_task_is_that_of_the_inner_one():
    with Key(copy=lambda thing: thing) as user:
        user.set("outer")

        def inner():
            user.set("inner")
            return wrap(user.get)

        assert task(inner)()() == "inner"
        assert user.get() == "outer"


@pytest.mark.parametrize("capture", [Context, lambda: task(int), lambda: wrap(int)])
def test_a_copy_that_raises_makes_no_context_and_is_the_errors_cause(capture):
    first = []
    with Key(copy=lambda thing: first.append(thing) or thing, destroy=lambda thing, reason: first.append(reason)) as good:
        with Key(copy=lambda thing: 1 / 0) as bad:
            good.set("good")
            bad.set(1)
            with pytest.raises(Error, match="TLS_ERR_INIT: a key's copy has raised ZeroDivisionError") as caught:
                capture()
            assert isinstance(caught.value.__cause__, ZeroDivisionError)
            assert first == ["good", threadlocalmap.REMOVED]
            del caught


def test_a_copy_that_raises_on_the_worker_opens_no_scope():
    fail = []

    def copy(thing):
        return 1 / 0 if fail else thing

    with Key(copy=copy) as key:
        key.set("captured")
        again = wrap(key.get)
        key.set("own")
        fail.append(1)
        with pytest.raises(Error, match="ZeroDivisionError"):
            again()
        assert key.get() == "own"
        fail.clear()
        assert again() == "captured"
        del again


def test_a_copy_may_use_keys_and_scopes_of_every_kind():
    def copy(thing):
        with Scope():
            plain.set("inside")
            cache.set(thing)
        return f"copy of {thing}"

    with Key() as plain, Key(worker=True) as cache, Key(copy=copy) as key:
        key.set("mine")
        assert wrap(key.get)() == "copy of copy of mine"
        assert threadlocalmap.Map().run(key.get) == "copy of mine"
        assert (cache.get(), plain.get("nothing")) == ("mine", "nothing")


def test_a_copy_that_captures_its_own_key_is_an_error_and_no_crash():
    with Key(copy=lambda thing: threadlocalmap.Map()) as key:
        key.set("mine")
        for capture in (threadlocalmap.Map, lambda: wrap(int)):
            with pytest.raises(Error, match="a key's copy has raised Error") as caught:
                capture()
            assert "TLS_ERR_REENTRANT" in str(caught.value.__cause__)
        key.remove()
        del caught
    collect()


def test_a_key_that_is_closed_after_it_was_captured_is_not_set():
    ends = []
    key = Key(copy=dict, destroy=lambda thing, reason: ends.append(reason))
    key.set({})
    again = wrap(lambda: threadlocalmap.stats()["entries"])
    key.close()
    assert again() == again()
    del again
    assert ends == [threadlocalmap.KEY_DEAD] * 2


def test_functions_that_would_be_over_before_they_have_begun_are_refused():
    def items():
        yield 1

    for make in (task, wrap):
        with pytest.raises(TypeError, match="before the first item .*: use threadlocalmap.generator"):
            make(items)
        with pytest.raises(TypeError, match="takes a function, and not 7"):
            make(7)


def test_a_wrapped_function_looks_like_the_one_inside():
    @wrap
    def work(value: int) -> int:
        """Doubles."""
        return 2 * value

    assert (work.__name__, work.__doc__, work(2)) == ("work", "Doubles.", 4)
    assert wrap(functools.partial(divmod, 7))(2) == (3, 1)


def test_what_a_task_leaves_to_destroy_ends_on_its_worker_with_the_task():
    ends = []
    with Key(destroy=lambda thing, reason: ends.append((threading.get_ident(), reason))) as key:
        number = on_thread(lambda: (task(lambda: key.set(1))(), threading.get_ident(), ends.copy())[1:])
        assert number == (number[0], [(number[0], threadlocalmap.SCOPE_END)])
    collect()
