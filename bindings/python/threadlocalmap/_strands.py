# SPDX-License-Identifier: MIT OR Apache-2.0
"""Whose values are meant: the thread's, an asyncio task's, or those of a Map that was entered.

Problem: a thread runs many coroutines, generators and greenlets in turn. Were their values the
thread's, one request would see another's user, and end the other's scope.

Idea: a strand is a line of execution with values of its own: a thread, an asyncio task, what is run
inside a Map. A task's and a Map's values are in a map of tls_map_create(), which is attached for each
call (_values.call) and for no longer. Which strand it is says the context of contextvars, and asyncio's
current task, at each call anew: there is nothing to be switched when a task or greenlet is.
A new strand begins with copies of the values of copy= keys, as they were in the context that it
was made in: `carried` is a snapshot of them that goes along with each copy of a context.

Invariants:
- A strand's map is attached to a thread only inside _values.call.
- A strand ends once; what its destroy callbacks store meanwhile ends with it, in at most 4 rounds.
- The objects of a task or Map that is dropped are destroyed on the thread that it ran on last, if
  that is one of threading's and lives; else where it is dropped.
- Scopes of a strand are a stack; on strands that are no tasks the innermost is the context's, too.
- A signal's handler, or a finalizer that the collector calls, may use keys between any two steps of
  this module, on the same thread and in the same context. So who makes what a strand or a thread has
  one of, puts it there with one call of setdefault(), and drops his own if there was one; who takes it
  away does so with one pop(); and a change of `_state` is made anew on top of one that came in between.
"""

from __future__ import annotations

import atexit
import contextlib
import contextvars
import os
import sys
import threading
import weakref
from collections.abc import Mapping
from threading import get_ident
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional

from ._library import ERR_BUSY, ERR_EXITING, POINTER, Error, check, library
from ._values import ABSENT, Table, Value, busy, call, perform, store

if TYPE_CHECKING:
    from asyncio import Task

    from ._scopes import Scope

ROUNDS = 4
Carried = Mapping[int, "tuple[Table, Value]"]

NOTHING: Carried = {}


class State(NamedTuple):
    """What a context of contextvars has. It is one variable, so that it changes in one step."""

    entered: Optional[Entered] = None  # the Map that it is inside of
    carried: Carried = NOTHING  # the values of copy= keys that a strand made in it gets copies of
    scope: Optional[Scope] = None  # the innermost, on strands that are no tasks


_BEGINNING = State()
_state: contextvars.ContextVar[State] = contextvars.ContextVar("threadlocalmap", default=_BEGINNING)
over: list[None] = []  # not empty: the interpreter is ending, and no callback can run any more


def carried() -> Carried:
    """The values of copy= keys that a strand made in this context would get copies of."""
    return _state.get().carried


def switch_state(state: State) -> State:
    """Sets it, and returns what it was until then."""
    before = _state.set(state).old_value
    return _BEGINNING if before is contextvars.Token.MISSING else before


def change_state(changed: Callable[[State], State]) -> None:
    """Changes it; anew, on top of what a signal's handler has made of it meanwhile, if it has."""
    before = expected = _state.get()
    while True:
        after = changed(before)
        found = switch_state(after)
        if found is expected:
            return
        before, expected = found, after


def change_carried(changed: Callable[[Carried], Carried]) -> None:
    change_state(lambda before: before._replace(carried=changed(before.carried)))


def set_innermost(scope: Optional[Scope]) -> None:
    change_state(lambda before: before._replace(scope=scope))


def joined(before: Carried, after: Carried) -> Carried:
    """What is carried outside of a scope: what was read just before and just after its begin."""
    return before if before is after else {**before, **{key: pair for key, pair in after.items() if pair[0].has(pair[1])}}


def carry_stored(key: int, table: Table, value: Value) -> None:
    """A value was stored: it is carried, if nobody has replaced or removed it meanwhile."""
    change_carried(lambda before: {**before, key: (table, value)} if table.has(value) else before)


def carry_removed(key: int, inside: Carried) -> None:
    """The value of a key was removed; `inside` was carried before that. What was stored after it stays."""

    def without(before: Carried) -> Carried:
        pair = before.get(key)
        if pair is None or (pair is not inside.get(key) and pair[0].has(pair[1])):
            return before
        return {each: other for each, other in before.items() if each != key}

    change_carried(without)


def carry_again(there: Carried, here: Carried) -> None:
    """A scope has begun or ended: what is carried on the other side, and what was stored there just now.
    `here` was carried before that."""

    def again(before: Carried) -> Carried:
        later = {key: pair for key, pair in before.items() if pair is not here.get(key) and pair[0].has(pair[1])}
        return {key: pair for key, pair in {**there, **later}.items() if pair[1].object is not ABSENT}

    change_carried(again)


class Strand:
    """A line of execution with values of its own."""

    __slots__ = (
        "name", "is_task", "place", "inherited", "scopes", "moving", "ended", "home", "watched", "dropped", "__weakref__",
    )  # fmt: skip

    def __init__(self, name: str, home: Optional[Strand], inherited: Carried, *, is_task: bool) -> None:
        self.name = name
        self.is_task = is_task
        self.place: dict[None, int] = {}  # has the address of its map; none: not made yet, or the thread's own
        self.inherited = dict(inherited)  # what it is still to have copies of
        self.scopes: list[Scope] = []
        self.moving = False  # the innermost scope is being changed: the context does not say yet which it is
        self.ended = False
        self.home = home  # the thread that it ran on last; of a thread: None
        self.watched = False  # a thread whose end is seen
        self.dropped: list[Strand] = []  # a thread's: what was dropped elsewhere and is to end here
        if home is not None:
            _strands.add(self)

    @property
    def address(self) -> Optional[int]:
        return self.place.get(None)

    def map(self) -> Optional[int]:
        """The map to call the library with; made when first asked for."""
        if self.home is None:
            return None
        if self.ended:
            raise Error(ERR_EXITING, f"{self.name} has ended, and its values with it")
        self.home = own()
        address = self.place.get(None)
        if address is None:
            address = self._make_map()
        if self.inherited:
            self._inherit(address, self._carry)
        return address

    def _make_map(self) -> int:
        made = POINTER()
        check(library.tls_map_create(made))
        assert made.value is not None
        address = self.place.setdefault(None, made.value)
        if address != made.value:
            check(perform(None, library.tls_map_destroy, made))
        return address

    def _inherit(self, address: int, carry: Callable[[int, Table, Optional[Value], Carried], None]) -> None:
        """Makes copies of what it inherits. Each is taken by one: by this call, or by the handler of a
        signal or a `copy` that uses the strand meanwhile."""
        for key in list(self.inherited):
            pair = self.inherited.pop(key, None)
            if pair is None:
                continue
            table, value = pair
            object, copied, before = value.object, None, carried()
            try:
                if object is not ABSENT and table.copy is not None and library.tls_key_is_live(key):
                    code, copied, now = store(address, key, table, table.copied(object))
                    now.finish()
                    check(code)
            except BaseException:
                self.inherited[key] = pair  # for the next who asks
                raise
            carry(key, table, copied, before)

    def _carry(self, key: int, table: Table, copied: Optional[Value], before: Carried) -> None:
        if self.is_task:
            carry_removed(key, before)
            if copied is not None:
                carry_stored(key, table, copied)

    def begin(self) -> Carried:
        """Makes its map, with copies of what it inherits: these."""
        mine: dict[int, tuple[Table, Value]] = {}

        def note(key: int, table: Table, copied: Optional[Value], _before: Carried) -> None:
            if copied is not None:
                mine[key] = table, copied

        try:
            self._inherit(self._make_map(), note)
        except BaseException:
            self._destroy_map()
            raise
        return mine

    def _destroy_map(self) -> bool:
        """Whether it had one."""
        address = self.place.pop(None, None)
        if address is None:
            return False
        code = perform(None, library.tls_map_destroy, address)
        if code != 0:
            self.place.setdefault(None, address)
            check(code)
        return True

    def check(self) -> None:
        """Error, if the innermost scope is one of another context: it is held over a switch."""
        while self.scopes and self.scopes[-1].due:
            self.scopes[-1].end()
        if self.scopes and not self.is_task and not self.moving and self.scopes[-1] is not _state.get().scope:
            raise Error(
                ERR_BUSY,
                f"the scope opened at {self.scopes[-1].where} is still open in {self.name}, and the context that "
                "runs now is not inside it: it is held over an await, a yield or a switch of greenlets, where "
                "others would see its values. Open it in a task of asyncio, or inside `with Map():`",
            )

    def end(self) -> None:
        """Ends the values of a task or Map, and what their destroy callbacks store in it meanwhile."""
        if self.ended:
            return
        before = switch_state(_state.get()._replace(entered=Entered(self), scope=None))
        try:
            self.scopes.clear()
            self.inherited.clear()
            for _ in range(ROUNDS):
                if not self._destroy_map():
                    break
            else:
                self.ended = True  # from now on it stores nothing
                self._destroy_map()
        finally:
            _state.set(before)
        self.ended = True
        self._destroy_map()  # there is one if a signal's handler has just stored something

    def abandon(self) -> None:
        """Nobody refers to its task or Map any more: it ends, on its own thread if that can be."""
        if self.address is None:
            self.ended = True
        if self.ended:
            return
        home = self.home
        if home is None or home.ended or not home.watched or (home is own() and not busy()):
            self.end()
            return
        home.dropped.append(self)
        if home.ended:
            end_dropped(home)


def end_dropped(home: Strand) -> None:
    """Ends what was dropped elsewhere."""
    while home.dropped and not busy():
        try:
            strand = home.dropped.pop()
        except IndexError:
            return
        strand.end()


class Entered:
    """That a context is inside a Map: not its copies, if they are another task's or run on another thread."""

    __slots__ = ("strand", "thread", "task", "outside")

    def __init__(self, strand: Strand) -> None:
        self.strand = strand
        self.thread = own()
        self.outside = _BEGINNING  # what the context had before
        task = current_task()
        self.task = None if task is None else weakref.ref(task)

    def is_here(self, thread: Strand, task: Optional[Task[Any]]) -> bool:
        return self.thread is thread and (None if self.task is None else self.task()) is task


class StrandOwner:
    """Has a strand, and ends it when it is dropped itself."""

    __slots__ = ("strand",)

    def __init__(self, strand: Strand) -> None:
        self.strand = strand

    def __del__(self, over: list[None] = over) -> None:
        if not over:
            self.strand.abandon()


_tasks: weakref.WeakKeyDictionary[Task[Any], StrandOwner] = weakref.WeakKeyDictionary()
_strands: weakref.WeakSet[Strand] = weakref.WeakSet()
_threads: weakref.WeakSet[Strand] = weakref.WeakSet()
_ending: dict[int, Strand] = {}
_local = threading.local()


def current_task() -> Optional[Task[Any]]:
    running = getattr(sys.modules.get("asyncio.events"), "_get_running_loop", None)
    loop = None if running is None else running()
    return None if loop is None else sys.modules["asyncio.tasks"].current_task(loop)


def current(*, check: bool = True) -> Strand:
    """The strand that the calling code runs in."""
    thread = own()
    if thread.dropped:
        end_dropped(thread)
    task = current_task()
    entered = _state.get().entered
    if entered is not None and entered.is_here(thread, task):
        strand = entered.strand
    elif task is not None:
        strand = _of_task(task)
    else:
        strand = thread
    if check:
        strand.check()
    return strand


def _of_task(task: Task[Any]) -> Strand:
    owner = _tasks.get(task)
    if owner is None:
        made = StrandOwner(Strand(f"task {task.get_name()!r}", own(), carried(), is_task=True))
        owner = _tasks.setdefault(task, made)
        if owner is made:
            task.add_done_callback(_task_is_done)
    return owner.strand


def _task_is_done(task: Task[Any]) -> None:
    owner = _tasks.pop(task, None)
    if owner is not None:
        owner.strand.end()


def enter(strand: Strand, those: Carried) -> None:
    """From now on the context is inside a Map."""
    entered, within = Entered(strand), _state.get().entered
    if within is not None and within.strand is strand:
        entered.outside = State(within)
        change_state(lambda before: before._replace(entered=entered))
        return
    inside = {key: pair for key, pair in those.items() if pair[1].object is not ABSENT}
    entered.outside = switch_state(State(entered, inside, strand.scopes[-1] if strand.scopes else None))


def leave(strand: Strand) -> Optional[Carried]:
    """The context is where it was before; what it has carried inside. None: it was not inside."""
    within = _state.get().entered
    if within is None or within.strand is not strand:
        return None
    outside = within.outside
    if outside.entered is not None and outside.entered.strand is strand:
        change_state(lambda before: before._replace(entered=outside.entered))
        return carried()
    those = switch_state(outside).carried
    change_carried(lambda before: {key: pair for key, pair in before.items() if pair[1].object is not ABSENT})
    return those


def own() -> Strand:
    """The calling thread's. Watches the thread's end, if it is one of threading's: Python forgets
    others' state each time that they leave Python, which is not their end."""
    try:
        strand: Strand = _local.strand
    except AttributeError:
        thread = get_ident()
        if thread in _ending:
            return _ending[thread]
        known = threading._active.get(thread)  # type: ignore[attr-defined]
        watched = known is not None and not isinstance(known, threading._DummyThread)
        made = Strand(f"thread {known.name!r}" if watched else "this thread", None, NOTHING, is_task=False)
        made.watched = watched
        strand = _local.__dict__.setdefault("strand", made)
        if strand is made:
            _threads.add(strand)
            if watched:
                _local.end = _ThreadEnd(strand)
    return strand


class _ThreadEnd:
    """Detaches its thread when Python is done with it: before join() returns, and while the
    thread still has its Python state. The library itself would do it a little later."""

    def __init__(self, strand: Strand) -> None:
        self.thread = get_ident()
        self.strand = strand

    def __del__(self, get_ident: Callable[[], int] = get_ident, over: list[None] = over) -> None:
        # A child process drops the other threads' on the thread that forked.
        if get_ident() == self.thread and not over:
            end_thread(self.strand)


def end_thread(strand: Strand) -> None:
    thread = get_ident()
    _ending[thread] = strand
    try:
        end_dropped(strand)
        detach_thread(strand)
    finally:
        strand.ended = True
        end_dropped(strand)
        del _ending[thread]


def detach_thread(strand: Strand) -> None:
    """Ends a thread's values, and again what their destroy callbacks store."""
    for _ in range(ROUNDS):
        strand.scopes.clear()
        inside = carried()
        code, now = call(None, library.tls_thread_detach)
        carry_again(NOTHING, inside)
        if not now.finish() or code != 0:
            check(code)
            return


def _all(those: weakref.WeakSet[Strand]) -> list[Strand]:
    while True:
        try:
            return list(those)
        except RuntimeError:  # another thread has added one meanwhile
            pass


def _at_exit() -> None:
    """The main thread's; exit() would destroy nothing, and after this no callback could run."""
    thread = own()
    for strand in _all(_strands):
        home = strand.home
        if home is None or home.ended or home is thread:
            with contextlib.suppress(Error):
                strand.end()
    end_thread(thread)
    over.append(None)


_forking: dict[int, Strand] = {}


def _before_fork() -> None:
    _forking[get_ident()] = current(check=False)


def _after_fork_here() -> None:
    _forking.pop(get_ident(), None)


def _after_fork_in_child() -> None:
    """Other threads are not here: what is theirs ends where it is dropped. Nor is asyncio's loop, as
    asyncio sees it: the code that goes on is still in its task."""
    thread, strand = own(), _forking.pop(get_ident(), None)
    _forking.clear()
    _ending.clear()
    for each in _all(_threads):
        if each is not thread:
            each.ended = True
    if strand is not None and strand.is_task:
        switch_state(_state.get()._replace(entered=Entered(strand)))


atexit.register(_at_exit)
os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_here, after_in_child=_after_fork_in_child)
