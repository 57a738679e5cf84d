# SPDX-License-Identifier: MIT OR Apache-2.0
"""Which values a call uses: those of the thread, of an asyncio task, or of a Map that was entered.

Problem: a thread runs many coroutines, generators and greenlets in turn. If their values belonged to the
thread, one request would see the user of another, and end its scope.

Idea: a strand is a line of execution with values of its own: a thread, an asyncio task, or the code inside a
Map. The values of a task or Map are in a map of tls_map_create(), which is attached only during each call
(_values.call). Each call finds the strand from the context of contextvars and from asyncio's current task, so
nothing needs to be switched when a task or greenlet is. A new strand begins with copies of the values of copy=
keys, as they were in the context that it was made in: `carried` is a snapshot of them, which each copy of a
context contains.

Invariants:
- A strand's map is attached to a thread only inside _values.call.
- A strand ends once. Objects that its destroy callbacks store meanwhile are destroyed with it, in at most 4
  rounds.
- If a task or Map is dropped, its objects are destroyed on the thread that it ran on last, if that is a live
  thread of `threading`; otherwise on the thread that drops it.
- The scopes of a strand are a stack. On strands that are not tasks, the context has the innermost scope, too.
- A signal handler, or a finalizer that the garbage collector calls, may use keys between any two steps of this
  module, on the same thread and in the same context. Therefore, if a strand or a thread has one object of a
  kind, the object is stored with one call of setdefault() (and dropped if there was one already) and removed
  with one pop(); and a change of `_state` is repeated if another change came in between.
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
    """The data of one context of contextvars. It is one variable, so that it changes in one step."""

    entered: Optional[Entered] = None  # the Map that the context is inside
    carried: Carried = NOTHING  # values of copy= keys; a strand that is made in the context gets copies
    scope: Optional[Scope] = None  # the innermost scope, on strands that are not tasks


_BEGINNING = State()
_state: contextvars.ContextVar[State] = contextvars.ContextVar("threadlocalmap", default=_BEGINNING)
over: list[None] = []  # not empty when the interpreter ends and no callback can run any more


def carried() -> Carried:
    """Returns the values of copy= keys that a strand made in this context would get copies of."""
    return _state.get().carried


def switch_state(state: State) -> State:
    """Sets the state, and returns the state that it replaces."""
    before = _state.set(state).old_value
    return _BEGINNING if before is contextvars.Token.MISSING else before


def change_state(changed: Callable[[State], State]) -> None:
    """Changes the state. If a signal handler has changed it meanwhile, applies the change to the new state."""
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
    """Returns what is carried outside a scope, from what was carried just before and just after its begin."""
    return before if before is after else {**before, **{key: pair for key, pair in after.items() if pair[0].has(pair[1])}}


def carry_stored(key: int, table: Table, value: Value) -> None:
    """Call it when a value was stored. The value is carried, unless it was replaced or removed meanwhile."""
    change_carried(lambda before: {**before, key: (table, value)} if table.has(value) else before)


def carry_removed(key: int, inside: Carried) -> None:
    """Call it when the value of a key was removed; `inside` was carried before that. Later values stay."""

    def without(before: Carried) -> Carried:
        pair = before.get(key)
        if pair is None or (pair is not inside.get(key) and pair[0].has(pair[1])):
            return before
        return {each: other for each, other in before.items() if each != key}

    change_carried(without)


def carry_again(there: Carried, here: Carried) -> None:
    """Call it when a scope has begun or ended. From then on, `there` is carried, and what was stored since;
    `here` was carried before."""

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
        self.place: dict[None, int] = {}  # the address of its map; empty if there is none yet, and for threads
        self.inherited = dict(inherited)  # values of which it has no copies yet
        self.scopes: list[Scope] = []
        self.moving = False  # the innermost scope is being changed, and the context does not have it yet
        self.ended = False
        self.home = home  # the thread that it ran on last; None for a thread
        self.watched = False  # whether it is a thread whose end is detected
        self.dropped: list[Strand] = []  # for a thread: strands that other threads dropped, to be ended here
        if home is not None:
            _strands.add(self)

    @property
    def address(self) -> Optional[int]:
        return self.place.get(None)

    def map(self) -> Optional[int]:
        """Returns the map to call the library with, which is made at the first call."""
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
        """Makes copies of the inherited values. Each is taken once: by this call, or by a signal handler or a
        `copy` that uses the strand meanwhile."""
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
                self.inherited[key] = pair  # the next call tries again
                raise
            carry(key, table, copied, before)

    def _carry(self, key: int, table: Table, copied: Optional[Value], before: Carried) -> None:
        if self.is_task:
            carry_removed(key, before)
            if copied is not None:
                carry_stored(key, table, copied)

    def begin(self) -> Carried:
        """Makes its map, with copies of the inherited values, and returns the copies."""
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
        """Returns whether there was a map."""
        address = self.place.pop(None, None)
        if address is None:
            return False
        code = perform(None, library.tls_map_destroy, address)
        if code != 0:
            self.place.setdefault(None, address)
            check(code)
        return True

    def check(self) -> None:
        """Raises an Error if the innermost scope belongs to another context: it is held over a switch."""
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
        """Destroys the values of a task or Map, and those that destroy callbacks store in it meanwhile."""
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
        self._destroy_map()  # there is a map again if a signal handler has just stored something

    def abandon(self) -> None:
        """Ends the strand when its task or Map was dropped, on its own thread if possible."""
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
    """Ends strands of this thread that other threads have dropped."""
    while home.dropped and not busy():
        try:
            strand = home.dropped.pop()
        except IndexError:
            return
        strand.end()


class Entered:
    """Records that a context is inside a Map. Copies of the context that belong to another task, or that run on
    another thread, are not inside."""

    __slots__ = ("strand", "thread", "task", "outside")

    def __init__(self, strand: Strand) -> None:
        self.strand = strand
        self.thread = own()
        self.outside = _BEGINNING  # the state of the context before
        task = current_task()
        self.task = None if task is None else weakref.ref(task)

    def is_here(self, thread: Strand, task: Optional[Task[Any]]) -> bool:
        return self.thread is thread and (None if self.task is None else self.task()) is task


class StrandOwner:
    """Owns a strand, and ends it when it is dropped itself."""

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
    """Returns the strand that the calling code runs in."""
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
    """Enters a Map: the context is inside it from now on."""
    entered, within = Entered(strand), _state.get().entered
    if within is not None and within.strand is strand:
        entered.outside = State(within)
        change_state(lambda before: before._replace(entered=entered))
        return
    inside = {key: pair for key, pair in those.items() if pair[1].object is not ABSENT}
    entered.outside = switch_state(State(entered, inside, strand.scopes[-1] if strand.scopes else None))


def leave(strand: Strand) -> Optional[Carried]:
    """Leaves a Map, and returns what was carried inside; None if the context was not inside."""
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
    """Returns the strand of the calling thread. For a thread of `threading`, it makes sure that the end of the
    thread is detected. For other threads it does not: Python drops their thread state each time that they leave
    Python, and this is not their end."""
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
    """Detaches its thread when Python ends it: before join() returns, and while the thread still has its Python
    state. The library itself would do this a little later."""

    def __init__(self, strand: Strand) -> None:
        self.thread = get_ident()
        self.strand = strand

    def __del__(self, get_ident: Callable[[], int] = get_ident, over: list[None] = over) -> None:
        # In the child of a fork, the forking thread drops these objects of the other threads.
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
    """Destroys the values of a thread, and those that destroy callbacks store meanwhile."""
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
    """Destroys the main thread's objects, because exit() destroys nothing and callbacks can't run later."""
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
    """Other threads do not exist in the child: their strands end where they are dropped. asyncio has no running
    loop in the child, but the code that continues is still in its task."""
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
