# SPDX-License-Identifier: MIT OR Apache-2.0
"""CPython's own test_threading_local, all of it, with threadlocalmap.local in the place of its locals.

The file is the interpreter's, or the one that ci/python.sh has fetched for it.
"""

import importlib.util
import os
import re

import pytest
from support import run_script

PATH = os.environ.get("CPYTHON_TEST_THREADING_LOCAL")
SCRIPT = """
    import importlib.util, sys, unittest
    import _thread, _threading_local, threading
    import threadlocalmap

    # The file asks for each of these; nothing else in this process has asked for them yet.
    _thread._local = _threading_local.local = threading.local = threadlocalmap.local
    path = {path!r}
    if path:
        spec = importlib.util.spec_from_file_location("test_threading_local", path)
        suite = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(suite)
    else:
        import test.test_threading_local as suite
    assert suite.ThreadLocalTest._local is suite.PyThreadingLocalTest._local is threadlocalmap.local
    {more}
    if hasattr(suite, "load_tests"):
        unittest.main(module=suite, argv=["suite", "-v"])
    else:  # before Python 3.11
        from test import support
        support.verbose = True
        suite.test_main()
"""


def run(more: str = ""):
    if not PATH and importlib.util.find_spec("test.test_threading_local") is None:
        pytest.skip("this Python has no test.test_threading_local")
    return run_script(SCRIPT.format(path=PATH, more=more))


def test_threading_locals_own_tests_pass_with_ours():
    done = run()
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    names = set(re.findall(r"^(test_\w+) \(.*\) \.\.\. ok$", output, re.MULTILINE))
    assert {"test_local_refs", "test_derived_cycle_dealloc", "test_cycle_collection", "test_dict_attribute"} <= names
    assert "skipped" not in output and "FAILED" not in output
    # Twice each, once for each name that CPython has for a local, and its documentation's examples likewise.
    assert int(re.findall(r"Ran (\d+) tests", output)[0]) == 2 * len(names) + 2, output


@pytest.mark.parametrize(
    "fault",
    [
        "threadlocalmap._locals._refuse_dict = lambda self, name: None",
        "kept = []; add = threadlocalmap._values.Table.add; "
        "threadlocalmap._values.Table.add = lambda self, object: kept.append(object) or add(self, object)",
    ],
    ids=["a dictionary that can be assigned", "attributes that nobody lets go of"],
)
def test_threading_locals_own_tests_would_find_a_local_that_is_wrong(fault):
    done = run(fault)
    assert done.returncode != 0 and "FAILED" in done.stdout + done.stderr
