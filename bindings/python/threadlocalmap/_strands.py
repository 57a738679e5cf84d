"""Whose values are meant: the thread's, an asyncio task's, or those of a Map that was entered.

Problem: a thread runs many coroutines, generators and greenlets in turn. Were their values the
thread's, one request would see another's user, and end the other's scope.

Idea: a strand is a line of execution with values of its own: a thread, an asyncio task, what is run
inside a Map. A task's and a Map's values are in a map of tls_map_create(), which is attached for each
call (_values.call) and for no longer. Which strand it is says the context of contextvars, and asyncio's
current task, at each call anew: there is nothing to be switched when a task or greenlet is.
A new strand begins with copies of the values of copy= keys, as they were in the context that it
was made in: `_carried` is a snapshot of them that goes along with each copy of a context.

Invariants:
- A strand's map is attached to a thread only inside _values.call.
- A strand ends once; what its destroy callbacks store meanwhile ends with it, in at most 4 rounds.
- The objects of a task or Map that is dropped are destroyed on the thread that it ran on last, if
  that is one of threading's and lives; else where it is dropped.
- Scopes of a strand are a stack; on strands that are no tasks the innermost is the context's, too.
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
from typing import TYPE_CHECKING, Any, Callable, Optional

from ._library import ERR_BUSY, ERR_EXITING, POINTER, Error, check, library
from ._values import ABSENT, Table, Value, busy, call, perform, store

if TYPE_CHECKING:
    from asyncio import Task

    from ._scopes import Scope

ROUNDS = 4
Carried = Mapping[int, "tuple[Table, Value]"]

_carried: contextvars.ContextVar[Carried] = contextvars.ContextVar("threadlocalmap carried")
innermost: contextvars.ContextVar[Optional[Scope]] = contextvars.ContextVar("threadlocalmap scope", default=None)
NOTHING: Carried = {}
over: list[None] = []  # not empty: the interpreter is ending, and no callback can run any more


def carried() -> Carried:
    """The values of copy= keys that a strand made in this context would get copies of."""
    return _carried.get(NOTHING)


def carry(those: Carried) -> None:
    _carried.set({key: pair for key, pair in those.items() if pair[1].object is not ABSENT})


class Strand:
    """A line of execution with values of its own."""

    __slots__ = ("name", "is_task", "address", "inherited", "scopes", "ended", "home", "watched", "orphans", "__weakref__")

    def __init__(self, name: str, home: Optional[Strand], inherited: Optional[Carried], *, is_task: bool) -> None:
        self.name = name
        self.is_task = is_task
        self.address: Optional[int] = None  # of its map; of none: the thread's own
        self.inherited = inherited  # what it is to begin with; None: it is a thread, or has begun
        self.scopes: list[Scope] = []
        self.ended = False
        self.home = home  # the thread that it ran on last; of a thread: None
        self.watched = False  # a thread whose end is seen
        self.orphans: list[Strand] = []  # a thread's: what was dropped elsewhere and is to end here
        if home is not None:
            _strands.add(self)

    def map(self) -> Optional[int]:
        """The map to call the library with; made when first asked for."""
        if self.ended and self.home is not None:
            raise Error(ERR_EXITING, f"{self.name} has ended, and its values with it")
        if self.home is not None:
            self.home = own()
            if self.inherited is not None:
                mine = self.begin(self.inherited)
                if self.is_task:
                    _carried.set(mine)
        return self.address

    def begin(self, inherited: Carried) -> Carried:
        """Makes its map, with copies of what it inherits: these."""
        made = POINTER()
        check(library.tls_map_create(made))
        self.address, self.inherited = made.value, None
        mine: dict[int, tuple[Table, Value]] = {}
        try:
            for key, (table, value) in inherited.items():
                object = value.object
                if object is ABSENT or table.copy is None or not library.tls_key_is_live(key):
                    continue
                code, copied, now = store(self.address, key, table, table.copied(object))
                now.finish()
                check(code)
                mine[key] = table, copied
        except BaseException:
            self._destroy_map()
            self.inherited = inherited
            raise
        return mine

    def _destroy_map(self) -> None:
        address, self.address = self.address, None
        code = perform(None, library.tls_map_destroy, address)
        if code != 0:
            self.address = address
            check(code)

    def check(self) -> None:
        """Error, if the innermost scope is one of another context: it is held over a switch."""
        while self.scopes and self.scopes[-1].due:
            self.scopes[-1].end()
        if self.scopes and not self.is_task and self.scopes[-1] is not innermost.get():
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
        entered, before = _entered.get(), carried()
        _entered.set(Entered(self))
        try:
            self.scopes.clear()
            for _ in range(ROUNDS):
                if self.address is None:
                    break
                self.inherited = NOTHING
                self._destroy_map()
            self.ended = True
            if self.address is not None:
                self._destroy_map()
        finally:
            _entered.set(entered)
            _carried.set(before)

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
        home.orphans.append(self)
        if home.ended:
            bury(home)


def bury(home: Strand) -> None:
    """Ends what was dropped elsewhere."""
    while home.orphans and not busy():
        try:
            strand = home.orphans.pop()
        except IndexError:
            return
        strand.end()


class Entered:
    """That a context is inside a Map: not its copies, if they are another task's or run on another thread."""

    __slots__ = ("strand", "thread", "task", "outside")

    def __init__(self, strand: Strand) -> None:
        self.strand = strand
        self.thread = own()
        self.outside = (_entered.get(), carried(), innermost.get())
        task = current_task()
        self.task = None if task is None else weakref.ref(task)

    def is_here(self, thread: Strand, task: Optional[Task[Any]]) -> bool:
        return self.thread is thread and (None if self.task is None else self.task()) is task


class Keeper:
    """Has a strand, and ends it when it is dropped itself."""

    __slots__ = ("strand",)

    def __init__(self, strand: Strand) -> None:
        self.strand = strand

    def __del__(self, over: list[None] = over) -> None:
        if not over:
            self.strand.abandon()


_entered: contextvars.ContextVar[Optional[Entered]] = contextvars.ContextVar("threadlocalmap map", default=None)
_tasks: weakref.WeakKeyDictionary[Task[Any], Keeper] = weakref.WeakKeyDictionary()
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
    if thread.orphans:
        bury(thread)
    task = current_task()
    entered = _entered.get()
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
    keeper = _tasks.get(task)
    if keeper is None:
        keeper = _tasks[task] = Keeper(Strand(f"task {task.get_name()!r}", own(), carried(), is_task=True))
        task.add_done_callback(_task_is_done)
    return keeper.strand


def _task_is_done(task: Task[Any]) -> None:
    keeper = _tasks.pop(task, None)
    if keeper is not None:
        keeper.strand.end()


def enter(strand: Strand, those: Carried) -> None:
    """From now on the context is inside a Map."""
    within = _entered.get()
    inside = within is not None and within.strand is strand
    _entered.set(Entered(strand))
    if not inside:
        carry(those)
        innermost.set(strand.scopes[-1] if strand.scopes else None)


def leave(strand: Strand) -> Optional[Carried]:
    """The context is where it was before; what it has carried inside. None: it was not inside."""
    within = _entered.get()
    if within is None or within.strand is not strand:
        return None
    those = carried()
    outer, before, scope = within.outside
    _entered.set(outer)
    if outer is None or outer.strand is not strand:
        carry(before)
        innermost.set(scope)
    return those


def own() -> Strand:
    """The calling thread's. Sees to the thread's end, if it is one of threading's: Python forgets
    others' state each time that they leave Python, which is not their end."""
    try:
        strand: Strand = _local.strand
    except AttributeError:
        thread = get_ident()
        if thread in _ending:
            return _ending[thread]
        known = threading._active.get(thread)  # type: ignore[attr-defined]
        watched = known is not None and not isinstance(known, threading._DummyThread)
        strand = Strand(f"thread {known.name!r}" if watched else "this thread", None, None, is_task=False)
        strand.watched = watched
        _threads.add(strand)
        _local.strand = strand
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
        bury(strand)
        detach_thread(strand)
    finally:
        strand.ended = True
        bury(strand)
        del _ending[thread]


def detach_thread(strand: Strand) -> None:
    """Ends a thread's values, and again what their destroy callbacks store."""
    for _ in range(ROUNDS):
        strand.scopes.clear()
        code, now = call(None, library.tls_thread_detach)
        carry(NOTHING)
        if not now.finish() or code != 0:
            check(code)
            return


def _at_exit() -> None:
    """The main thread's; exit() would destroy nothing, and after this no callback could run."""
    thread = own()
    for strand in list(_strands):
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
    """Other threads are not here: what is theirs ends with whoever drops it. Nor is asyncio's loop, as
    asyncio sees it: the code that goes on is still in its task."""
    thread, strand = own(), _forking.pop(get_ident(), None)
    _forking.clear()
    _ending.clear()
    for each in list(_threads):
        if each is not thread:
            each.ended = True
    if strand is not None and strand.is_task:
        _entered.set(Entered(strand))


atexit.register(_at_exit)
os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_here, after_in_child=_after_fork_in_child)
