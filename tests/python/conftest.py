# SPDX-License-Identifier: MIT OR Apache-2.0
"""Each test leaves as many keys, values, contexts and maps as it has found."""

import gc

import pytest
import threadlocalmap
from threadlocalmap import _values

gc.collect()
gc.freeze()  # what is here already need not be looked at by each test's collections

FIGURES = ("keys", "dead_keys", "entries", "stale", "contexts", "leaked", "unscoped", "maps")


@pytest.fixture(autouse=True)
def nothing_is_left():
    threadlocalmap.Key().set(None)  # this thread is attached
    gc.collect()
    before = threadlocalmap.stats()
    cells = dict(_values._cells)
    yield
    gc.collect()
    threadlocalmap.expunge()
    threadlocalmap.Key().set(None)  # it may have detached itself
    after = threadlocalmap.stats()
    assert {name: after[name] for name in FIGURES} == {name: before[name] for name in FIGURES}
    assert _values._cells == cells
    assert _values._calls == {}
