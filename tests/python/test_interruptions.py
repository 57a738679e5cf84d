# SPDX-License-Identifier: MIT OR Apache-2.0
"""Code that runs between any two steps of the module: a signal's handler, a finalizer that the collector calls.

Problem: it comes in at random, and once in many thousands of runs just where it does harm.

Idea: the interpreter tells a trace function of each instruction. At each instruction of the module that is
reached in what a test does, once, a handler runs there, as a signal's would, and what was done is
looked at afterwards.
"""

import asyncio
import gc
import os
import sys
import threading
import time

import pytest
import threadlocalmap
from support import PATIENCE
from threadlocalmap import Context, Error, Key, Map, Scope, _strands, _values

FOLDER = os.path.dirname(threadlocalmap.__file__)
FIGURES = ("keys", "dead_keys", "entries", "stale", "contexts", "leaked", "unscoped", "maps")


class Interrupter:
    """Calls a handler at an instruction where it has not been called yet; once, until start() is called again.

    It looks for such instructions in one function at a time, because to be told of all is slow.
    """

    def __init__(self, handler):
        self.handler = handler
        self.functions = []
        self.seen = set()
        self.at = None

    def all(self):
        """To be iterated: something is to be done between start() and sys.settrace(None), for each."""
        yield  # finds the functions
        for function in self.functions:  # it grows
            self.function, self.at = function, ""
            while self.at is not None:
                yield

    def start(self):
        self.at = None
        sys.settrace(self._trace_calls)

    def _trace_calls(self, frame, _event, _argument):
        if not frame.f_code.co_filename.startswith(FOLDER):
            return None
        if not any(frame.f_code is each for each in self.functions):
            self.functions.append(frame.f_code)
        if frame.f_code is not self.function:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._trace

    function = None

    def _trace(self, frame, event, _argument):
        place = (id(frame.f_code), frame.f_lasti)
        if event == "opcode" and self.at is None and place not in self.seen:
            self.seen.add(place)
            self.at = f"{frame.f_code.co_filename[len(FOLDER) + 1 :]}:{frame.f_lineno} {frame.f_code.co_name}"
            sys.settrace(None)
            self.handler(frame)
        return self._trace


def is_in(frame, files):
    while frame is not None and not frame.f_code.co_filename.endswith(files):
        frame = frame.f_back
    return frame is not None


class Bench:
    """Keys, a handler that uses them, and what has to hold."""

    def __init__(self):
        self.key = Key(destroy=lambda thing, reason: None)
        self.marks = Key()
        self.inherited = Key(copy=lambda thing: f"copy of {thing}")
        self.refused = []
        self.stored = []
        self.switching = False

    def handle(self, frame):
        in_call = bool(_values._calls)
        self.switching = is_in(frame, ("_scopes.py", "_maps.py", "_contexts.py"))
        try:
            self.key.get()
            with Scope():
                self.key.set("in the handler's scope")
            self.key.set("the handler's")
            self.inherited.set("inherited of the handler")
            self.marks.set(frame.f_lasti)
        except Error as error:
            if error.name != "TLS_ERR_REENTRANT" or not in_call:
                self.refused.append(str(error))
            return
        if self.switching:  # where that is stored then, on which side, is not said
            return
        strand = _strands.current(check=False)
        self.stored.append((strand, len(strand.scopes), self.marks.get()))

    def look(self):
        """What the handler has stored here is here, and what a task would be given is what is here."""
        trace = sys.gettrace()
        sys.settrace(None)
        strand = _strands.current()
        object = self.inherited.get()
        pair = _strands.carried().get(self.inherited._key)
        if object is None:
            assert pair is None or not pair[0].has(pair[1]), pair[1].object
        else:
            assert pair is not None and pair[1].object == object, (pair, object)
        for where, depth, mark in self.stored:
            if where is strand and depth == len(strand.scopes):
                assert self.marks.get() == mark
        if trace is not None:
            sys.settrace(trace)


def in_a_task(bench):
    async def request():
        bench.key.set(1)
        bench.look()
        with Scope():
            with Scope():
                bench.key.set(2)
                bench.inherited.set("in a scope")
                assert bench.key.get() in (2, "the handler's")
                bench.look()
            bench.inherited.remove()
            bench.key.take()
            bench.look()
        bench.look()
        await asyncio.sleep(0)
        bench.look()

    async def main():
        bench.inherited.set("main")
        await asyncio.create_task(request())
        bench.look()

    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(main())
    finally:
        loop.close()


def in_maps_and_contexts(bench):
    @threadlocalmap.generator
    def numbers():
        bench.key.set(3)
        yield bench.key.get()
        bench.look()

    with Scope():
        bench.inherited.set("thread")
        bench.look()
        with Map() as map, Scope():
            bench.key.set(1)
            bench.look()
        bench.look()
        with map:
            bench.inherited.set("map")
            bench.look()
        bench.look()
        map.close()
        assert next(steps := numbers()) in (3, "the handler's")
        steps.close()
        context = Context()
        context.run(lambda: (bench.key.set(2), bench.look()))
        context.close()
        bench.look()
    bench.look()


def on_a_thread(bench):
    def run():
        bench.interrupter.start()
        bench.key.set(1)
        bench.inherited.set("thread")
        bench.look()
        with Map() as map:
            bench.key.set(1)
        del map
        bench.look()
        threadlocalmap.detach()
        bench.stored.clear()
        bench.look()
        bench.key.set(2)

    sys.settrace(None)
    failures = []
    thread = threading.Thread(target=lambda: catch(failures, run))
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive() and failures == []


def catch(failures, function):
    try:
        function()
    except BaseException as error:
        failures.append(repr(error))


@pytest.mark.parametrize("use", [in_a_task, in_maps_and_contexts, on_a_thread])
def test_a_handler_at_any_instruction_loses_nothing_and_leaves_nothing(use):
    bench = Bench()
    bench.interrupter = interrupter = Interrupter(bench.handle)
    use(bench)  # what is made once
    gc.collect()
    gc.freeze()
    wrong = []
    try:
        before, cells = figures(bench), len(_values._cells)
        for _ in interrupter.all():
            failures = []
            interrupter.start()
            catch(failures, lambda: use(bench))
            sys.settrace(None)
            bench.stored.clear()
            bench.switching = False
            given_up = time.monotonic() + 1  # until the library has seen the end of a thread
            while (after := figures(bench)) != before and use is on_a_thread and time.monotonic() < given_up:
                time.sleep(0.0005)
            if failures or bench.refused or after != before or len(_values._cells) != cells or _values._calls:
                gc.collect()
                after = figures(bench)
                differences = {name: after[name] - before[name] for name in FIGURES if after[name] != before[name]}
                wrong.append((interrupter.at, failures, list(bench.refused), differences))
                bench.refused.clear()
                before, cells = after, len(_values._cells)
    finally:
        sys.settrace(None)
        gc.unfreeze()
    assert len(interrupter.functions) > 30 and len(interrupter.seen) > 300
    assert not wrong, '\n'.join(map(str, wrong))


def figures(bench):
    """Once nothing is left of what the handler has stored on this thread itself."""
    threadlocalmap.detach()
    bench.key.set(None)
    all = threadlocalmap.stats()
    return {name: all[name] for name in FIGURES}
