# SPDX-License-Identifier: MIT OR Apache-2.0
"""A ThreadPoolExecutor counts the words of documents. Each worker has a parser of its own for each
document; when a document is closed, its parsers go, and the workers stay.

    pip install ./bindings/python && python3 examples/pools/python_executor.py
"""

from concurrent.futures import ThreadPoolExecutor

import threadlocalmap

made, closed = [], []


class Parser:
    def __init__(self):
        made.append(1)

    def count_words(self, text):
        return len(text.split())

    def close(self, _reason):
        closed.append(1)


class Document:
    def __init__(self, text):
        self.text = text
        self.parser = threadlocalmap.Key(name="parser", destroy=Parser.close, worker=True)

    def count_words(self):
        parser = self.parser.get()
        if parser is None:
            parser = Parser()
            self.parser.set(parser)
        return parser.count_words(self.text)

    def close(self):
        self.parser.close()


words = 0
with ThreadPoolExecutor(4) as pool:
    for _ in range(50):
        document = Document("the quick brown fox")
        counts = [pool.submit(threadlocalmap.task(document.count_words)) for _ in range(8)]
        words += sum(count.result() for count in counts)
        document.close()

print(f"{words} words; {len(made) - len(closed)} parsers left, {threadlocalmap.stats()['entries']} values")
