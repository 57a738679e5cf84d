# SPDX-License-Identifier: MIT OR Apache-2.0
"""Reports: counts, and which threads have a value under which key.

Problem: a leak shows as a number that grows. To find it, a program must know which thread and which key it is.

Idea: tls_stats() and tls_dump() return Python objects.

Invariants: the counts are those of the whole process, C code included.
"""

from __future__ import annotations

import ctypes
import json
from typing import Any

from ._library import COUNTERS, WRITE, Stats, check, library


def stats() -> dict[str, int]:
    """Returns the counts of tls_stats_t, which are those of the whole process."""
    counters = Stats(size=ctypes.sizeof(Stats))
    check(library.tls_stats(counters))
    return {name: getattr(counters, name) for name in COUNTERS}


def dump() -> dict[str, Any]:
    """Returns the report of tls_dump(), which docs/dump.schema.json describes. The values in it are numbers
    that this module has given to the objects."""
    parts: list[bytes] = []

    def write(text: int, length: int, _argument: object) -> int:
        parts.append(ctypes.string_at(text, length))
        return 0

    check(library.tls_dump(WRITE(write), None))
    report: dict[str, Any] = json.loads(b"".join(parts))
    return report
