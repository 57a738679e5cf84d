# SPDX-License-Identifier: MIT OR Apache-2.0
"""Each of these lines is wrong, and mypy must say so: else the types say nothing."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

HEAD = """from threadlocalmap import Context, Key, Map, generator, wrap
def work(number: int) -> str: return str(number)
key: Key[int] = Key()
"""
WRONG = [
    'key.set("text")',
    "text: str = key.get()",
    "number: int = key.get()",
    'Key[int](copy=lambda value: "text")',
    "Key(name=7)",
    'wrap(work)("text")',
    "other: int = wrap(work)(1)",
    'Context().run(work, "text")',
    "Map().run(work)",
    "Map().run(work, 1).real",
    "key.for_each(lambda number: number.nothing)",
    "text: list[str] = key.scrape()",
    "from threadlocalmap import nothing",
]

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "wrong.py")
    path.write_text(HEAD + "\n".join(WRONG) + "\n")
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(Path(folder, "cache")), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)

found = {int(number) for number in re.findall(r"^wrong\.py:(\d+): error", done.stdout.replace(folder + "/", ""), re.MULTILINE)}
first = HEAD.count("\n") + 1
if found != set(range(first, first + len(WRONG))):
    raise SystemExit(f"mypy finds fault with the lines {sorted(found)} and not with each from {first} on:\n{done.stdout}")
print(f"   {len(WRONG)} wrong lines, each refused")
