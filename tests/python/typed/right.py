# SPDX-License-Identifier: MIT OR Apache-2.0
"""What a typed program writes: mypy --strict has nothing to say about it. Never run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Optional

import threadlocalmap
from threadlocalmap import Context, Error, Key, Map, Scope, generator, task, wrap


class Parser:
    def close(self, reason: int) -> None: ...


class Request(threadlocalmap.local):
    user: str


parser: Key[Parser] = Key(name="parser", destroy=Parser.close, worker=True)
request: Key[dict[str, int]] = Key(copy=dict)
parser.set(Parser())
found: Optional[Parser] = parser.get()
other: Parser = parser.get(Parser())
either: Parser | int = parser.take(7)


def work(number: int, *, twice: bool = False) -> str:
    return str(number * (2 if twice else 1))


async def handle(number: int) -> str:
    return str(number)


@generator
def items(count: int) -> Iterator[int]:
    yield from range(count)


@generator
async def later() -> AsyncIterator[int]:
    yield 1


text: str = wrap(work)(7, twice=True) + task(work)(7)
total: int = sum(items(3))


async def main() -> str:
    async for number in later():
        print(number + 1)
    return await wrap(handle)(1)


with Scope(), Context() as context, Scope(context, across_yield=True), Map() as map:
    text = context.run(work, 7, twice=False)
    text = map.run(work, 7)
hits: Key[list[int]] = Key(enumerable=True, explicit=True)
first: Optional[int] = hits.for_each(lambda list: list[0] if list else None)
sums: int = sum(sum(list) for list in hits.scrape())
handed_over: int = len(threadlocalmap.take_all())
mine = Request()
mine.user = "ann"
try:
    parser.close()
except Error as error:
    code: int = error.code
    name: str = error.name
count: int = threadlocalmap.expunge() + threadlocalmap.stale_count() + threadlocalmap.stats()["keys"]
