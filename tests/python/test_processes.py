# SPDX-License-Identifier: MIT OR Apache-2.0
"""The interpreter's exit, forks, subinterpreters, signals, and a library that is not there."""

import sys

import pytest
import threadlocalmap
from support import run_script, script


def test_the_interpreters_exit_destroys_the_main_threads_objects_and_no_daemons():
    # The daemon threads end in the middle of finalisation: __del__ lets go of the GIL there.
    printed = script(
        """
        import ctypes, sys, threading, threadlocalmap
        key = threadlocalmap.Key(destroy=lambda thing, reason: print(thing, reason))
        stored = threading.Barrier(5)
        def spin():
            key.set("daemon")
            stored.wait()
            while True: pass
        class Late:
            def __del__(self, usleep=ctypes.CDLL(None).usleep): usleep(200000)
        for _ in range(4): threading.Thread(target=spin, daemon=True).start()
        stored.wait()
        sys.late = Late()
        key.set("main")
        """
    )
    assert printed == f"main {threadlocalmap.DETACHED}\n"


def test_the_interpreters_exit_ends_maps_and_tasks_that_the_main_thread_has_left():
    printed = script(
        """
        import asyncio, threadlocalmap
        key = threadlocalmap.Key(destroy=lambda thing, reason: print(thing, reason))
        async def forever():
            key.set("task's")
            await asyncio.get_running_loop().create_future()
        loop = asyncio.new_event_loop()
        left = loop.create_task(forever())
        left._log_destroy_pending = False
        loop.run_until_complete(asyncio.sleep(0))
        map = threadlocalmap.Map()
        map.run(key.set, "map's")
        local = threadlocalmap.local()
        local.x = key
        """
    )
    assert sorted(printed.splitlines()) == [f"map's {threadlocalmap.MAP_DESTROYED}", f"task's {threadlocalmap.MAP_DESTROYED}"]


def test_keys_may_be_used_by_other_functions_of_atexit_and_dropped_after_them():
    printed = script(
        """
        import atexit
        atexit.register(lambda: (key.set("late"), print(key.get())))
        import sys, threadlocalmap
        key = threadlocalmap.Key(destroy=lambda thing, reason: print("destroyed", thing))
        context = threadlocalmap.Context()
        atexit.register(lambda: print(key.get()))
        key.set("main")
        sys.last = [key, context, threadlocalmap.Map(), threadlocalmap.local()]
        sys.last.append(sys.last)
        """
    )
    assert printed == "main\ndestroyed main\nlate\n"


def test_a_child_process_keeps_the_forking_threads_objects():
    printed = script(
        """
        import os, threading, threadlocalmap
        key = threadlocalmap.Key()
        stored, done = threading.Barrier(2), threading.Event()
        def other():
            key.set("other")
            stored.wait()
            done.wait()
        threading.Thread(target=other).start()
        stored.wait()
        key.set("main")
        child = os.fork()
        if child:
            assert os.waitpid(child, 0)[1] == 0
            done.set()
        print(key.get())
        """
    )
    assert printed == "main\nmain\n"


def test_a_fork_in_a_thread_with_values_in_scopes_maps_and_tasks_leaves_a_child_that_works():
    printed = script(
        """
        import asyncio, os, threading, threadlocalmap
        from threadlocalmap import Key, Map, Scope, wrap
        ends = []
        key = Key(copy=lambda thing: thing, destroy=lambda thing, reason: ends.append(thing))
        main_map = Map()
        main_map.run(key.set, "main's map")
        def in_child():
            global main_map
            assert key.get() == "scope"
            again = wrap(key.get)
            thread = threading.Thread(target=lambda: print("thread", again(), key.get()))
            thread.start(); thread.join()
            main_map = None  # its thread is not here
            assert "main's map" in ends
        async def request():
            key.set("task")
            with Scope():
                key.set("scope")
                child = os.fork()
                if child == 0:
                    in_child()
            if child == 0:
                assert key.get() == "task" and "scope" in ends
                key.close()
                assert "task" in ends and "thread" in ends
                print("child", threadlocalmap.stats()["entries"], flush=True)
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
        def other():
            key.set("thread")
            asyncio.run(request())
            assert "task" in ends, ends
            print("parent", key.get(), flush=True)
        thread = threading.Thread(target=other)
        thread.start(); thread.join()
        """
    )
    assert printed.splitlines() == ["thread scope None", "child 0", "parent thread"]


def test_a_fork_in_a_destroy_is_seen_in_both_processes():
    printed = script(
        """
        import os, threadlocalmap
        def destroy(thing, reason):
            child = os.fork()
            if child: assert os.waitpid(child, 0)[1] == 0
            key.set("again" if thing == "first" else None)
        key = threadlocalmap.Key(destroy=lambda thing, reason: destroy(thing, reason) if thing == "first" else None)
        key.set("first")
        key.set("second")
        print(key.get(), threadlocalmap.stats()["entries"], flush=True)
        """
    )
    assert printed == "again 1\nagain 1\n"


SUBINTERPRETER = """
    import threadlocalmap
    try:
        import _interpreters as interpreters
    except ImportError:
        import _xxsubinterpreters as interpreters
    text = '''if True:
        try:
            import threadlocalmap
        except ImportError as error:
            assert "{what}" in str(error), error
        else:
            raise SystemExit("imported")
    '''
    for kind in {kinds}:
        interpreter = interpreters.create(**kind)
        failed = interpreters.run_string(interpreter, text)
        assert failed is None, failed
        interpreters.destroy(interpreter)
    key = threadlocalmap.Key()
    key.set("main's")
    print(key.get())
"""


def test_a_subinterpreter_gets_an_import_error_that_says_why():
    kinds = "({'isolated': False},)" if sys.version_info < (3, 13) else "({'config': 'legacy'},)"
    try:
        __import__("_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters")
    except ImportError:
        pytest.skip("this Python has no module for subinterpreters")
    if sys.version_info >= (3, 13):
        kinds = "[{}]"  # create(config) is positional
        text = SUBINTERPRETER.replace("create(**kind)", "create('legacy')")
    else:
        text = SUBINTERPRETER
    assert script(text.format(what="main interpreter only", kinds=kinds)) == "main's\n"


def test_an_isolated_subinterpreter_gets_an_import_error_too():
    if sys.version_info < (3, 12):
        pytest.skip("those came with Python 3.12")
    assert script(SUBINTERPRETER.format(what="", kinds="[{}]")) == "main's\n"


def test_a_library_that_is_not_there_is_an_import_error_that_says_what_to_do():
    done = run_script("import threadlocalmap", THREADLOCALMAP_LIBRARY="/nowhere.so")
    assert done.returncode == 1
    assert "set THREADLOCALMAP_LIBRARY to its path" in done.stderr


def test_a_library_that_is_another_is_an_import_error_too():
    done = run_script("import threadlocalmap", THREADLOCALMAP_LIBRARY="libc.so.6")
    assert done.returncode == 1
    assert "ImportError: threadlocalmap needs libthreadlocalmap.so.0" in done.stderr


def test_signal_handlers_may_use_keys_in_the_middle_of_everything():
    printed = script(
        """
        import asyncio, signal, threadlocalmap
        from threadlocalmap import Error, Key, Map, Scope
        key, other = Key(destroy=lambda thing, reason: None), Key()
        handled, refused, nested = [], [], []
        def arm():
            signal.setitimer(signal.ITIMER_REAL, 0.0005)
        def handle(number, frame):
            # It may come in the middle of itself; but not on and on, as it would from a timer that repeats
            # faster than a busy machine gets through it, until Python has no stack left.
            nested.append(None)
            if len(nested) < 3:
                arm()
            try:
                handled.append(key.get())
                key.set("handler's")
                other.set(len(handled))
            except Error as error:
                refused.append(error.name)
            nested.pop()
            arm()
        signal.signal(signal.SIGALRM, handle)
        arm()
        async def request(number):
            for step in range(100):
                key.set(number)
                with Scope():
                    key.set(step)
                    assert (seen := key.get()) in (step, "handler's"), (seen, step, number, refused)
                await asyncio.sleep(0)
        async def main():
            await asyncio.gather(*map(request, range(10)))
        for _ in range(3):
            asyncio.run(main())
            with Scope():
                key.set(1)
        signal.signal(signal.SIGALRM, lambda number, frame: None)
        signal.setitimer(signal.ITIMER_REAL, 0)
        assert len(handled) > 20, handled
        # Only in the middle of a call of the library, and only where that uses another map.
        assert set(refused) <= {"TLS_ERR_REENTRANT"} and len(refused) <= len(handled) / 10, refused
        key.close(), other.close()
        print(threadlocalmap.stats()["entries"], threadlocalmap._values._calls, threadlocalmap._values._cells)
        """
    )
    assert printed == "0 {} {}\n"
