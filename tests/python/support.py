# SPDX-License-Identifier: MIT OR Apache-2.0
"""What the tests share: threads that are waited for, objects that note where they end, scripts."""

from __future__ import annotations

import gc
import subprocess
import sys
import textwrap
import threading
from typing import Any, Callable

PATIENCE = 60


class Thing:
    """An object that can be watched, and that notes where it goes away."""

    def __init__(self, note: list[Any] | None = None) -> None:
        self.thread = threading.get_ident()
        self.note = note

    def __del__(self) -> None:
        if self.note is not None:
            self.note.append((self.thread, threading.get_ident()))


def on_thread(function: Callable[[], Any]) -> Any:
    """Calls a function on a thread of its own, and waits for that to end."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append((function(), None))
        except BaseException as error:
            outcome.append((None, error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    result, error = outcome.pop()
    if error is not None:
        raise error
    return result


def collect() -> None:
    for _ in range(3):
        gc.collect()


def script(text: str, **environment: str) -> str:
    """Runs Python in a process of its own, which must say nothing on stderr; what it prints."""
    done = run_script(text, **environment)
    assert (done.returncode, done.stderr) == (0, ""), (done.returncode, done.stdout, done.stderr)
    return done.stdout


def run_script(text: str, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    # Python 3.12 warns of a fork beside threads, which some of the scripts are for.
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(text)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, env={**os.environ, **environment})
