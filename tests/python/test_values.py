# SPDX-License-Identifier: MIT OR Apache-2.0
"""Values of threads: whose they are, where and when they end, what errors say."""

import _thread
import gc
import sys
import threading
import time
import weakref

import pytest
import threadlocalmap
from support import PATIENCE, Thing, collect, on_thread
from threadlocalmap import Error, Key


def test_each_thread_has_its_own_and_none_is_an_object():
    with Key() as key:
        assert key.get("nothing") == "nothing"
        key.set(None)
        assert key.get("nothing") is None
        assert on_thread(lambda: key.get("nothing")) == "nothing"
        key.remove()
        assert key.get("nothing") == "nothing"


def test_an_object_lives_as_long_as_its_value_and_take_hands_it_over():
    reasons = []
    with Key(destroy=lambda thing, reason: reasons.append(reason)) as key:
        first = Thing()
        watched = weakref.ref(first)
        key.set(first)
        del first
        gc.collect()
        assert key.get() is watched()
        key.set(key.get())  # the same object once more: one value ends, the object does not
        assert reasons == [threadlocalmap.REPLACED]
        assert watched() is not None
        taken = key.take()
        assert taken is watched()
        assert reasons == [threadlocalmap.REPLACED]
        del taken
        assert watched() is None
        assert key.take("nothing") == "nothing"


@pytest.mark.parametrize("copy", [None, lambda thing: thing])
def test_an_object_without_destroy_goes_when_it_is_replaced_removed_or_its_key_closed(copy):
    key = Key(copy=copy)
    for end in (lambda: key.set(None), key.remove, key.close):
        watched = weakref.ref(thing := Thing())
        key.set(thing)
        del thing
        end()
        assert watched() is None


def test_objects_are_destroyed_on_their_thread_before_its_join_returns():
    ends = []
    key = Key(destroy=lambda thing, _: ends.append((thing.thread, threading.get_ident())))
    for _ in range(50):
        on_thread(lambda: key.set(Thing(ends)))
        assert len(ends) == 2  # the callback's, and the object's own
        assert {here for _, here in ends} == {there for there, _ in ends}
        assert ends[0][1] != threading.get_ident()
        ends.clear()
    key.close()


def test_a_thread_that_threading_does_not_know_destroys_its_own_too():
    ends = []
    before = threadlocalmap.stats()["maps"]
    key = Key(destroy=lambda thing, reason: ends.append((thing.thread == threading.get_ident(), reason)))
    _thread.start_new_thread(lambda: key.set(Thing()), ())
    given_up = time.monotonic() + PATIENCE  # nothing tells us of its end but what it leaves
    while not ends or threadlocalmap.stats()["maps"] != before:
        assert time.monotonic() < given_up
        time.sleep(0.001)
    key.close()
    assert ends == [(True, threadlocalmap.THREAD_EXIT)]


def test_what_destroy_stores_at_the_end_of_a_thread_is_destroyed_too_and_at_most_four_times():
    reasons = []

    def destroy(count, reason):
        reasons.append((count, reason))
        if count < 3:
            key.set(count + 1)

    key = Key(destroy=destroy)
    on_thread(lambda: key.set(0))
    key.close()
    assert reasons == [(count, threadlocalmap.DETACHED) for count in range(4)]


def test_errors_of_a_closed_key_have_a_code_a_name_and_say_which_key():
    key = Key(name="session")
    key.set(1)
    key.close()
    key.close()
    for use in (key.get, key.take, key.remove, lambda: key.set(1)):
        with pytest.raises(Error, match="session .* was closed") as caught:
            use()
        assert (caught.value.code, caught.value.name) == (-2, "TLS_ERR_DEAD_KEY")
    assert not key.live


@pytest.mark.parametrize(
    ("kind", "what", "arguments"),
    [
        (ValueError, "worker=True or copy, not both", {"copy": dict, "worker": True}),
        (TypeError, "copy is a function, and not 7", {"copy": 7}),
        (TypeError, "destroy is a function, and not 'close'", {"destroy": "close"}),
        (TypeError, "name is a str, and not b'a'", {"name": b"a"}),
        (ValueError, "zero character", {"name": "a\0b"}),
    ],
)
def test_a_key_that_makes_no_sense_is_refused_in_words_and_leaves_nothing(kind, what, arguments):
    with pytest.raises(kind, match=what):
        Key(**arguments)


def test_made_up_and_dead_handles_are_errors_and_no_crash():
    real = Key()
    handle = real._key
    for made_up in (0, 1 << 63, 12345678901234, handle + (1 << 40)):
        real._key = made_up
        for use in (real.get, real.take, real.remove, lambda: real.set(Thing())):
            with pytest.raises(Error, match="TLS_ERR_BAD_KEY"):
                use()
        assert not real.live
        real.close()
    real._key = handle
    real.close()


def test_what_destroy_raises_is_reported_and_the_object_has_gone_all_the_same(monkeypatch):
    reports = []
    monkeypatch.setattr(sys, "unraisablehook", lambda report: reports.append(report.exc_type))
    with Key(destroy=lambda thing, reason: 1 / 0) as key:
        key.set(Thing())
        key.set(watched := Thing())
        watched = weakref.ref(watched)
    assert reports == [ZeroDivisionError, ZeroDivisionError]
    reports.clear()
    collect()
    assert watched() is None


def test_a_set_that_is_interrupted_when_it_has_stored_leaves_a_value_that_can_be_used(monkeypatch):
    call = threadlocalmap._values.call

    def interrupted(map, function, *arguments):
        result = call(map, function, *arguments)
        if function is threadlocalmap._library.library.tls_set:
            raise KeyboardInterrupt
        return result

    with Key() as key:
        monkeypatch.setattr(threadlocalmap._values, "call", interrupted)
        with pytest.raises(KeyboardInterrupt):
            key.set("stored")
        monkeypatch.undo()
        assert key.get() == "stored"
        key.remove()
        assert key.get() is None


def test_destroy_may_use_every_function_its_own_key_included():
    seen = []

    def destroy(thing, reason):
        seen.append(key.get("nothing"))
        with threadlocalmap.Scope():
            key.set("in a scope")
        with threadlocalmap.Map() as map:
            key.set("in a map")
            threadlocalmap.wrap(lambda: other.set(1))()
        map.close()
        other.set(thing)
        threadlocalmap.expunge()
        threadlocalmap.dump()
        if thing == "first":
            threadlocalmap.detach()

    other = Key(copy=lambda thing: thing)
    key = Key(destroy=lambda thing, reason: destroy(thing, reason) if "in" not in thing else None)
    key.set("first")
    key.set("second")  # detach() in the end of the first ends this one, too
    assert seen == ["second", "nothing"]
    key.close()
    other.close()


def test_a_key_that_is_collected_is_closed():
    key = Key(name="collected")
    watched = weakref.ref(thing := Thing())
    key.set(thing)
    del thing, key
    assert watched() is None


def test_an_object_that_refers_to_its_own_key_does_not_keep_it():
    ends = []
    thing = Thing()
    thing.key = Key(destroy=lambda thing, reason: ends.append(reason))
    thing.key.set(thing)
    watched = weakref.ref(thing)
    del thing
    collect()
    assert ends == [threadlocalmap.KEY_DEAD]
    assert watched() is None


def test_objects_in_a_cycle_with_their_key_wait_for_their_own_thread():
    ends, go, stored = [], threading.Event(), threading.Event()
    keys = [Key(destroy=lambda thing, reason: ends.append((thing.thread, threading.get_ident(), reason)))]

    def store():
        thing = Thing()
        thing.key = keys[0]
        keys[0].set(thing)
        del thing
        stored.set()
        go.wait(PATIENCE)
        threadlocalmap.expunge()

    thread = threading.Thread(target=store)
    thread.start()
    stored.wait(PATIENCE)
    keys.clear()
    collect()
    assert ends == []
    go.set()
    thread.join(PATIENCE)
    assert len(ends) == 1 and ends[0][0] == ends[0][1] and ends[0][2] == threadlocalmap.KEY_DEAD
    collect()


def test_a_value_that_ends_while_the_collector_is_at_its_key_is_destroyed_once():
    ends = []

    class First:
        """Its finalizer runs before or after the key's: the value ends in the middle of the collection."""

        def __del__(self):
            threadlocalmap.detach()

    for _ in range(5):
        first, second = First(), First()
        key = Key(destroy=lambda thing, reason: ends.append(reason))
        first.key = second.key = key
        key.first, key.second = first, second
        key.set(first)
        del first, second, key
        collect()
    assert len(ends) == 5


def test_a_weak_reference_s_callback_may_use_the_key_of_the_object_that_goes():
    seen = []
    with Key() as key:
        thing = Thing()
        watched = weakref.ref(thing, lambda _: seen.append(key.get("nothing")))
        key.set(thing)
        del thing
        key.set("new")
        assert seen == ["new"]
        del watched


def test_a_dump_has_names_and_holders():
    with Key(name="größe") as key:
        key.set(1)
        (found,) = [each for each in threadlocalmap.dump()["keys"] if each["name"] == "größe"]
    assert len(found["values"]) == 1


def test_many_threads_that_store_close_and_collect_at_once_lose_nothing():
    ends, made = [], []

    def work(seed):
        keys = []
        for step in range(150):
            keys.append(key := Key(destroy=lambda thing, reason: ends.append(thing.thread == threading.get_ident())))
            shared.append(key)
            for each in (key, shared[(seed * 31 + step) % len(shared)]):
                try:
                    each.set(Thing())
                    made.append(1)
                except Error:
                    pass
            if step % 3 == 0:
                keys.pop(0).close()
            if step % 50 == 0:
                gc.collect()
            if len(shared) > 20:
                shared.pop(0)

    shared = [Key(destroy=lambda thing, reason: ends.append(thing.thread == threading.get_ident()))]
    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    shared.clear()
    collect()
    threadlocalmap.expunge()
    assert len(ends) == len(made) and all(ends)
