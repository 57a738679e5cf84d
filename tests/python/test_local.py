# SPDX-License-Identifier: MIT OR Apache-2.0
"""threadlocalmap.local beside threading.local: the same answers, beyond what CPython's own tests ask."""

import _threading_local
import asyncio
import copy
import threading
import weakref

import pytest
import threadlocalmap
from support import Thing, collect, on_thread, script
from threadlocalmap import Scope

KINDS = [threading.local, _threading_local.local, threadlocalmap.local]


@pytest.fixture(params=KINDS, ids=["C", "Python", "threadlocalmap"])
def local(request):
    return request.param


def test_descriptors_slots_and_class_attributes_are_looked_up_as_objects_do(local):
    class Data:
        def __get__(self, instance, owner):
            return "data" if instance is not None else self

        def __set__(self, instance, value):
            instance.__dict__["stored"] = value

        def __delete__(self, instance):
            del instance.__dict__["stored"]

    class Base(local):
        __slots__ = ("shared",)
        plain = "class's"

        def method(self):
            return self

        @property
        def computed(self):
            return self.plain + "!"

        @classmethod
        def made(cls):
            return cls

    class Sub(Base):
        data = Data()

    mine = Sub()
    assert (mine.plain, mine.computed, mine.made(), mine.data) == ("class's", "class's!", Sub, "data")
    assert mine.method() is mine
    mine.plain = "thread's"
    mine.data = 1
    mine.shared = 2
    assert mine.__dict__ == {"plain": "thread's", "stored": 1}
    assert on_thread(lambda: (mine.plain, mine.shared, dict(mine.__dict__))) == ("class's", 2, {})
    del mine.plain, mine.data
    assert mine.__dict__ == {} and mine.plain == "class's"
    with pytest.raises(AttributeError):
        mine.computed = 1
    with pytest.raises(AttributeError):
        del mine.computed
    for missing in (lambda: mine.missing, lambda: delattr(mine, "missing")):
        with pytest.raises(AttributeError, match="missing"):
            missing()
    assert "plain" in dir(mine) and "plain" not in vars(mine) and isinstance(mine, local)


def test_getattr_hooks_and_reassigned_classes_work(local):
    class First(local):
        def __getattr__(self, name):
            return f"made up {name}"

    class Second(local):
        pass

    mine = First()
    mine.x = 1
    assert (mine.x, mine.y) == (1, "made up y")
    mine.__class__ = Second
    assert type(mine) is Second and not hasattr(mine, "y")


def test_init_is_called_once_on_each_thread_and_again_after_it_has_failed(local):
    calls = []

    class Counted(local):
        def __init__(self, start, *, fail):
            calls.append(threading.get_ident())
            self.value = start
            if fail and len(calls) == 2:
                raise KeyError("init")

    mine = Counted(7, fail=local is not _threading_local.local)

    def other():
        if local is not _threading_local.local:  # that one keeps half an object
            with pytest.raises(KeyError, match="init"):
                mine.value
        return mine.value, mine.value

    assert mine.value == 7
    assert on_thread(other) == (7, 7)
    assert len(calls) == (2 if local is _threading_local.local else 3)


def test_attributes_go_with_their_thread_or_with_the_local(local):
    if local is _threading_local.local:
        pytest.skip("that one keeps them as long as the Thread")
    mine, watched = local(), []

    def store():
        mine.thing = Thing()
        watched.append(weakref.ref(mine.thing))

    on_thread(store)
    collect()
    assert watched.pop()() is None
    store()
    assert watched[0]() is not None
    del mine
    assert watched[0]() is None


def test_a_local_is_seen_through_by_the_collector_also_from_other_threads(local):
    go, stored, watched = threading.Event(), threading.Event(), []
    mine = [local()]

    def store():
        thing = Thing()
        thing.local = mine[0]
        mine[0].thing = thing
        watched.append(weakref.ref(thing))
        del thing
        stored.set()
        go.wait(60)

    thread = threading.Thread(target=store)
    thread.start()
    stored.wait(60)
    mine.clear()
    collect()
    gone = watched[0]() is None
    go.set()
    thread.join(60)
    assert gone


def test_it_is_neither_copied_nor_pickled(local):
    if local is _threading_local.local:
        pytest.skip("that one is copied, without its attributes")
    with pytest.raises(TypeError, match="cannot pickle"):
        copy.copy(local())


def test_tasks_scopes_and_maps_make_no_difference(local):
    mine = local()
    mine.x = "thread's"

    async def request():
        assert mine.x == "thread's"
        mine.x = "task's"

    with Scope():
        mine.x = "scope's"
    assert mine.x == "scope's"
    mine.x = "thread's"
    asyncio.run(request())
    assert mine.x == "task's"


def test_many_threads_and_locals_at_once_each_see_their_own(local):
    locals = [local() for _ in range(20)]

    def work(number):
        for step in range(200):
            each = locals[step % 20]
            each.value = (number, step)
            assert each.value == (number, step)
            if step % 50 == 49:
                locals[step % 20] = local()
        return number

    failures = []

    def run(number):
        try:
            work(number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []


def test_a_child_process_keeps_the_forking_threads_attributes(local):
    kinds = {kind: text for kind, text in zip(KINDS, ("threading", "_threading_local", "threadlocalmap"))}
    printed = script(
        f"""
        import os, threading, {kinds[local]}
        mine = {kinds[local]}.local()
        mine.x = "main's"
        def other():
            mine.x = "other's"
            child = os.fork()
            if child == 0:
                print(mine.x, flush=True)
                thread = threading.Thread(target=lambda: print(hasattr(mine, "x"), flush=True))
                thread.start(); thread.join()
                os._exit(0)
            os.waitpid(child, 0)
        thread = threading.Thread(target=other)
        thread.start(); thread.join()
        print(mine.x)
        """
    )
    assert printed == "other's\nFalse\nmain's\n"
