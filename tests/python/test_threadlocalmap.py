"""bindings/python/threadlocalmap.py, on real threads and a real ThreadPoolExecutor.

Run by `make check STEPS=python`, which says where the module and the library are."""

import _thread
import gc
import os
import subprocess
import sys
import threading
import time
import unittest
import weakref
from concurrent.futures import ThreadPoolExecutor

import threadlocalmap
from threadlocalmap import Error, Key, Scope, task

WORKERS, TASKS, OBJECTS = 4, 400, 25
PATIENCE = 60


class Thing:
    """An object that can be watched, and that notes where it goes away."""

    def __init__(self, note=None):
        self.thread = threading.get_ident()
        self.note = note

    def __del__(self):
        if self.note is not None:
            self.note.append((self.thread, threading.get_ident()))


def on_each_worker(pool, function):
    """Calls a function once on each of the pool's threads, and on all at the same time."""
    barrier = threading.Barrier(WORKERS)

    def meet():
        barrier.wait(PATIENCE)
        result = function()
        barrier.wait(PATIENCE)
        return result

    return [each.result(PATIENCE) for each in [pool.submit(meet) for _ in range(WORKERS)]]


class Test(unittest.TestCase):
    def setUp(self):
        self.before = threadlocalmap.stats()

    def tearDown(self):
        threadlocalmap.expunge()
        after = threadlocalmap.stats()
        for name in ("keys", "dead_keys", "entries", "stale", "contexts", "leaked", "unscoped"):
            self.assertEqual(after[name], self.before[name], name)
        self.assertEqual(threadlocalmap._values, {})
        self.assertEqual(threadlocalmap._running, {})

    def on_thread(self, function):
        outcome = []
        thread = threading.Thread(target=lambda: outcome.append(function()))
        thread.start()
        thread.join(PATIENCE)
        self.assertFalse(thread.is_alive())
        return outcome[0]


class Values(Test):
    def test_each_thread_has_its_own_and_none_is_an_object(self):
        with Key() as key:
            self.assertEqual(key.get("nothing"), "nothing")
            key.set(None)
            self.assertIsNone(key.get("nothing"))
            self.assertEqual(self.on_thread(lambda: key.get("nothing")), "nothing")
            key.remove()
            self.assertEqual(key.get("nothing"), "nothing")

    def test_an_object_lives_as_long_as_its_value_and_take_hands_it_over(self):
        reasons = []
        with Key(destroy=lambda thing, reason: reasons.append(reason)) as key:
            first = Thing()
            watched = weakref.ref(first)
            key.set(first)
            del first
            gc.collect()
            self.assertIs(key.get(), watched())
            key.set(key.get())  # the same object once more: one value ends, the object does not
            self.assertEqual(reasons, [threadlocalmap.REPLACED])
            self.assertIsNotNone(watched())
            taken = key.take()
            self.assertIs(taken, watched())
            self.assertEqual(reasons, [threadlocalmap.REPLACED])
            del taken
            self.assertIsNone(watched())
            self.assertEqual(key.take("nothing"), "nothing")

    def test_objects_are_destroyed_on_their_thread_before_its_join_returns(self):
        ends = []
        key = Key(destroy=lambda thing, _: ends.append((thing.thread, threading.get_ident())))
        for _ in range(50):
            self.on_thread(lambda: key.set(Thing(ends)))
            self.assertEqual(len(ends), 2)  # the callback's, and the object's own
            self.assertEqual({here for _, here in ends}, {there for there, _ in ends})
            self.assertNotEqual(ends[0][1], threading.get_ident())
            ends.clear()
        key.close()

    def test_a_thread_that_threading_does_not_know_destroys_its_own_too(self):
        ends = []
        key = Key(destroy=lambda thing, reason: ends.append((thing.thread == threading.get_ident(), reason)))
        _thread.start_new_thread(lambda: key.set(Thing()), ())
        given_up = time.monotonic() + PATIENCE  # nothing tells us of its end but what it leaves
        while not ends or threadlocalmap.stats()["maps"] != self.before["maps"]:
            self.assertLess(time.monotonic(), given_up)
            time.sleep(0.001)
        key.close()
        self.assertEqual(ends, [(True, threadlocalmap.THREAD_EXIT)])

    def test_errors_have_a_code_and_a_name(self):
        key = Key()
        key.set(1)
        key.close()
        key.close()
        for use in (key.get, key.take, key.remove, lambda: key.set(1)):
            with self.assertRaises(Error) as caught:
                use()
            self.assertEqual((caught.exception.code, caught.exception.name), (-2, "TLS_ERR_DEAD_KEY"))
        self.assertFalse(key.live)

    def test_what_destroy_raises_is_reported_and_the_object_has_gone_all_the_same(self):
        reports, hook = [], sys.unraisablehook
        sys.unraisablehook = lambda report: reports.append(report.exc_type)
        try:
            with Key(destroy=lambda thing, reason: 1 / 0) as key:
                key.set(Thing())
        finally:
            sys.unraisablehook = hook
        self.assertEqual(reports, [ZeroDivisionError])

    def test_a_key_that_is_collected_is_closed(self):
        key = Key(name="collected")
        watched = weakref.ref(thing := Thing())
        key.set(thing)
        del thing, key
        self.assertIsNone(watched())

    def test_a_dump_has_names_and_holders(self):
        with Key(name="größe") as key:
            key.set(1)
            (found,) = [each for each in threadlocalmap.dump()["keys"] if each["name"] == "größe"]
        self.assertEqual(len(found["values"]), 1)


class Scopes(Test):
    def test_what_a_scope_sets_ends_with_it_and_what_it_hid_is_back(self):
        reasons = []
        with Key(destroy=lambda thing, reason: reasons.append((thing, reason))) as key:
            key.set("outer")
            with self.assertRaises(ZeroDivisionError), Scope():
                self.assertEqual(key.get(), "outer")
                key.set("inner")
                with Scope():
                    self.assertEqual(key.take("hidden"), "hidden")
                    self.assertEqual(key.get("nothing"), "nothing")
                self.assertEqual(key.get(), "inner")
                1 / 0
            self.assertEqual(key.get(), "outer")
            self.assertEqual(reasons, [("inner", threadlocalmap.SCOPE_END)])

    def test_scopes_that_are_ended_out_of_order_are_an_error_and_stay_open(self):
        outer, inner = Scope(), Scope()
        with outer:
            with inner:
                with self.assertRaises(Error) as caught:
                    outer.__exit__()
                self.assertEqual(caught.exception.name, "TLS_ERR_BUSY")


class Pools(Test):
    def test_tasks_and_dead_objects_leave_nothing_in_an_executors_workers(self):
        ends = []
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
            for number, keys in pool.map(lambda n: task(work)(n), range(TASKS)):
                self.assertEqual(len(keys), OBJECTS // 2)
            del keys
            self.assertEqual(len(ends), TASKS * OBJECTS)
            self.assertTrue(all(on_each_worker(pool, lambda: outer.get() == threading.get_ident())))
            self.assertEqual(sum(on_each_worker(pool, threadlocalmap.expunge)), 0)
            # What is left: outer's objects, and a cache for each worker that has had a task.
            left = threadlocalmap.stats()["entries"] - self.before["entries"]
            self.assertTrue(WORKERS < left <= 2 * WORKERS, left)
        self.assertEqual(threadlocalmap.stats()["entries"], self.before["entries"])
        self.assertEqual([pair for pair in ends if pair[0] != pair[1]], [])
        cache.close()
        outer.close()

    def test_idle_workers_destroy_their_stale_objects_when_they_next_have_a_task(self):
        ends, keys = [], [Key() for _ in range(OBJECTS)]
        with ThreadPoolExecutor(WORKERS) as pool:
            on_each_worker(pool, lambda: [key.set(Thing(ends)) for key in keys] and None)
            for key in keys:
                key.close()
            self.assertEqual(ends, [])
            self.assertEqual(on_each_worker(pool, threadlocalmap.stale_count), [OBJECTS] * WORKERS)
            on_each_worker(pool, lambda: task(lambda: None)())
            self.assertEqual(len(ends), WORKERS * OBJECTS)
            self.assertEqual(on_each_worker(pool, threadlocalmap.stale_count), [0] * WORKERS)
        self.assertEqual([pair for pair in ends if pair[0] != pair[1]], [])

    def test_results_and_exceptions_pass_through_and_a_task_runs_once(self):
        with ThreadPoolExecutor(1) as pool, Key() as key:

            def fail():
                key.set(1)
                raise KeyError("mine")

            self.assertEqual(pool.submit(task(divmod), 7, 2).result(PATIENCE), (3, 1))
            self.assertEqual(pool.submit(task(dict), a=1).result(PATIENCE), {"a": 1})
            with self.assertRaisesRegex(KeyError, "mine"):
                pool.submit(task(fail)).result(PATIENCE)
            self.assertIsNone(pool.submit(key.get).result(PATIENCE))
            once = task(int)
            once()
            with self.assertRaises(RuntimeError):
                once()

    def test_a_task_takes_copies_of_its_submitters_objects_along(self):
        with Key(copy=dict) as request, ThreadPoolExecutor(1) as pool:
            request.set({"id": 7})
            taken = task(request.get)
            request.get()["id"] = 8
            self.assertEqual(pool.submit(taken).result(PATIENCE), {"id": 7})
            self.assertIsNone(pool.submit(request.get).result(PATIENCE))
            never_run = task(request.get)
            self.assertEqual(threadlocalmap.stats()["contexts"], self.before["contexts"] + 1)
            del never_run
            self.assertEqual(threadlocalmap.stats()["contexts"], self.before["contexts"])

    def test_a_copy_that_raises_makes_no_task_and_is_the_errors_cause(self):
        with Key(copy=lambda thing: 1 / 0) as key:
            key.set(1)
            with self.assertRaises(Error) as caught:
                task(int)
        self.assertEqual(caught.exception.name, "TLS_ERR_INIT")
        self.assertIsInstance(caught.exception.__cause__, ZeroDivisionError)


class Processes(Test):
    def script(self, text):
        # Python 3.12 warns of a fork beside threads, which one of the scripts is for.
        command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", text]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def test_the_interpreters_exit_destroys_the_main_threads_objects_and_no_daemons(self):
        # The daemon threads end in the middle of finalisation: __del__ lets go of the GIL there.
        printed = self.script("""if True:
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
        """)
        self.assertEqual(printed, f"main {threadlocalmap.DETACHED}\n")

    def test_a_child_process_keeps_the_forking_threads_objects(self):
        printed = self.script("""if True:
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
        """)
        self.assertEqual(printed, "main\nmain\n")

    def test_a_library_that_is_not_there_is_an_import_error_that_says_what_to_do(self):
        done = subprocess.run(
            [sys.executable, "-c", "import threadlocalmap"],
            env={**os.environ, "THREADLOCALMAP_LIBRARY": "/nowhere.so"},
            capture_output=True, text=True, timeout=PATIENCE,
        )  # fmt: skip
        self.assertEqual(done.returncode, 1)
        self.assertIn("set THREADLOCALMAP_LIBRARY to its path", done.stderr)


if __name__ == "__main__":
    unittest.main()
