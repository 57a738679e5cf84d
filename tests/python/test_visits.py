# SPDX-License-Identifier: MIT OR Apache-2.0
"""Objects of all threads under one key, and all objects of one thread: visits that stop, scrape, take_all, explicit."""

import threading

import pytest
import threadlocalmap
from support import PATIENCE, Thing, collect, on_thread, script
from threadlocalmap import Error, Key, Map, Scope


@pytest.fixture
def others():
    """Calls a function on two threads, which then wait until the test is over."""
    go, threads = threading.Event(), []

    def start(function):
        ready = threading.Barrier(3)

        def run(number):
            function(number)
            ready.wait(PATIENCE)
            go.wait(PATIENCE)

        for number in range(2):
            threads.append(threading.Thread(target=run, args=(number,)))
            threads[-1].start()
        ready.wait(PATIENCE)

    yield start
    go.set()
    for thread in threads:
        thread.join(PATIENCE)


def test_for_each_reaches_the_objects_of_all_threads(others):
    with Key(enumerable=True) as key:
        others(key.set)
        key.set(2)
        found = []
        assert key.for_each(found.append) is None
        assert sorted(found) == [0, 1, 2]


@pytest.mark.parametrize("result", [True, False, 0, "found"])
def test_the_first_result_that_is_not_none_ends_a_visit_and_is_returned(others, result):
    with Key(enumerable=True) as key:
        others(key.set)
        key.set(2)
        seen = []
        assert key.for_each(lambda object: seen.append(object) or (result if len(seen) == 2 else None)) is result
        assert len(seen) == 2


def test_what_a_visit_raises_ends_it(others):
    with Key(enumerable=True) as key:
        others(key.set)
        seen = []

        def visit(object):
            seen.append(object)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            key.for_each(visit)
        assert len(seen) == 1


def test_an_object_is_not_destroyed_while_it_is_visited():
    ends = []
    stored, replace, replaced, visited = (threading.Event() for _ in range(4))
    key = Key(enumerable=True, destroy=lambda thing, reason: ends.append((thing, reason)))

    def run():
        key.set("first")
        stored.set()
        replace.wait(PATIENCE)
        key.set("second")
        replaced.set()
        visited.wait(PATIENCE)

    thread = threading.Thread(target=run)
    thread.start()
    stored.wait(PATIENCE)

    def visit(object):
        if object == "first":
            replace.set()
            replaced.wait(PATIENCE)
            return list(ends)
        return None

    assert key.for_each(visit) == []
    visited.set()
    thread.join(PATIENCE)
    threadlocalmap.expunge()
    assert sorted(ends) == [("first", threadlocalmap.REPLACED), ("second", threadlocalmap.DETACHED)]
    key.close()


def test_a_visit_may_use_keys_and_tasks_maps_and_scopes_have_objects_too():
    with Key(enumerable=True) as key, Key() as other:
        key.set("thread")
        with Map() as map, Scope():
            key.set("map")
            seen = []

            def visit(object):
                other.set(object)
                seen.append(other.get())

            key.for_each(visit)
            assert sorted(seen) == ["map", "thread"]
        map.close()


def test_scrape_hands_the_objects_of_all_threads_over(others):
    ends = []
    with Key(enumerable=True, destroy=lambda thing, reason: ends.append(reason)) as key:
        others(lambda number: key.set(Thing(ends)))
        key.set(Thing(ends))
        things = key.scrape()
        assert len(things) == 3 and ends == []
        assert key.get() is None and key.scrape() == []
        collected = len(things)
        things.clear()
        assert len(ends) == collected


def test_a_sum_over_all_threads_that_ever_were():
    with Key(enumerable=True) as key:
        totals = []
        for number in range(5):
            on_thread(lambda number=number: (key.set([number]), totals.extend(sum(key.scrape(), []))))
        assert sum(totals) == 10


@pytest.mark.parametrize("use", ["for_each", "scrape"])
def test_a_key_that_is_not_enumerable_or_was_closed_is_refused_in_words(use):
    with Key(name="plain") as key, pytest.raises(ValueError, match=rf"{use}\(\) is for keys .* enumerable=True.*plain"):
        getattr(key, use)(*([print] if use == "for_each" else []))
    key = Key(name="over", enumerable=True)
    key.close()
    with pytest.raises(Error, match="over .* was closed"):
        getattr(key, use)(*([print] if use == "for_each" else []))


@pytest.mark.parametrize("explicit", [False, True])
def test_explicit_values_of_a_closed_key_wait_for_expunge(explicit):
    ends = []
    closed, go, seen = threading.Event(), threading.Event(), []
    keys = [Key(explicit=explicit, destroy=lambda thing, reason: ends.append(reason)) for _ in range(8)]
    used = Key()

    def run():
        for key in keys:
            key.set(1)
        go.set()
        closed.wait(PATIENCE)
        for number in range(100):
            used.set(number)
            Key().get()
        seen.append(len(ends))
        seen.append(threadlocalmap.stale_count())
        threadlocalmap.expunge()
        seen.append(len(ends))

    thread = threading.Thread(target=run)
    thread.start()
    go.wait(PATIENCE)
    for key in keys:
        key.close()
    closed.set()
    thread.join(PATIENCE)
    if explicit:
        assert seen == [0, 8, 8]
    else:
        assert seen[0] > 0 and seen[2] == 8
    used.close()


def test_take_all_hands_everything_over_and_destroys_nothing():
    ends = []
    keys = [Key(destroy=lambda thing, reason: ends.append(reason)) for _ in range(3)]

    def run():
        keys[0].set("first")
        keys[1].set("second")
        with Scope():
            keys[1].set("inner")
            keys[2].set("third")
            taken = threadlocalmap.take_all()
            assert [key.get() for key in keys] == [None, None, None]
            keys[0].set("later")
        return taken

    taken = on_thread(run)
    assert sorted(taken) == ["first", "inner", "second", "third"] and taken[-1] == "first"
    assert ends == [threadlocalmap.SCOPE_END]
    for key in keys:
        key.close()
    collect()


def test_take_all_means_the_map_or_task_that_runs():
    with Key() as key:
        key.set("thread")
        with Map() as map:
            key.set("map")
            assert threadlocalmap.take_all() == ["map"]
        map.close()
        assert key.get() == "thread"


def test_a_task_made_after_take_all_and_scrape_inherits_nothing():
    with Key(copy=lambda thing: thing, enumerable=True) as key:
        for take in (threadlocalmap.take_all, key.scrape):
            key.set("thread")
            assert take() == ["thread"]
            with Map() as map:
                assert key.get() is None
            map.close()


def test_the_child_of_a_fork_can_leave_its_parents_objects_alone():
    printed = script(
        """
        import os, threadlocalmap
        key = threadlocalmap.Key(destroy=lambda thing, reason: print("destroyed", thing, flush=True))
        key.set("connection")
        child = os.fork()
        if not child:
            assert threadlocalmap.take_all() == ["connection"]
            raise SystemExit
        assert os.waitpid(child, 0)[1] == 0
        key.remove()
        """
    )
    assert printed == "destroyed connection\n"


def test_take_all_is_refused_where_c_code_has_values():
    import ctypes

    from threadlocalmap._library import NUMBER, Options, library

    foreign = NUMBER()
    library.tls_key_create(foreign, Options(size=ctypes.sizeof(Options)))
    with Key() as key:
        key.set(1)
        library.tls_set(foreign, 0x1000)
        with pytest.raises(Error, match="C code has values"):
            threadlocalmap.take_all()
        assert key.get() == 1
        library.tls_remove(foreign)
        assert threadlocalmap.take_all() == [1]
    library.tls_key_release(foreign)
