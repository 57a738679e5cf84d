# SPDX-License-Identifier: MIT OR Apache-2.0
"""Everything at once: loops on several threads, tasks that are cancelled, keys that are closed, forks, collections."""

from support import script


def test_loops_cancellations_closed_keys_forks_and_collections_at_once_mix_and_lose_nothing():
    printed = script(
        """
        import asyncio, gc, os, random, threading, warnings
        import threadlocalmap
        from threadlocalmap import Error, Key, Scope

        warnings.simplefilter("ignore")  # of coroutines that were cancelled before they had begun

        class Thing: pass

        def new_key():
            return Key(destroy=lambda thing, reason: ends.append(1))

        made, ends, wrong = [], [], []
        user = Key(copy=lambda name: name)
        keys = [new_key() for _ in range(5)]

        def store():
            try:
                random.choice(keys).set(Thing())
                made.append(1)
            except Error as error:  # another thread has closed it
                if error.name != "TLS_ERR_DEAD_KEY": raise

        def check(name):
            if user.get() != name: wrong.append((user.get(), name))

        async def part(name, depth):
            check(name)
            for _ in range(random.randrange(5)):
                store()
                with Scope():
                    user.set(name + "!")
                    store()
                    await asyncio.sleep(random.choice((0, 0, 0.001)))
                    check(name + "!")
                check(name)
                if depth:
                    await asyncio.gather(*(asyncio.wait_for(part(name, depth - 1), 120) for _ in range(2)))
                if random.random() < 0.05: keys[random.randrange(5)] = new_key()
                if random.random() < 0.02: gc.collect()
                if random.random() < 0.02:
                    child = os.fork()
                    if child == 0: os._exit(0 if user.get() == name else 3)
                    if os.waitpid(child, 0)[1] != 0: wrong.append("in the child")

        async def request(name):
            user.set(name)
            await part(name, 2)

        async def main(number):
            for round in range(3):
                tasks = [asyncio.create_task(request(f"{number}.{round}.{each}")) for each in range(8)]
                await asyncio.sleep(0.01)
                for each in tasks[::3]: each.cancel()
                for result in await asyncio.gather(*tasks, return_exceptions=True):
                    if isinstance(result, Exception) and not isinstance(result, asyncio.CancelledError):
                        wrong.append(repr(result))

        threads = [threading.Thread(target=lambda each=each: asyncio.run(main(each))) for each in range(3)]
        for each in threads: each.start()
        for each in threads: each.join()
        for each in keys: each.close()
        keys.clear()
        user.close()
        gc.collect()
        threadlocalmap.expunge()
        figures = threadlocalmap.stats()
        assert made, made
        print(wrong, len(made) - len(ends), figures["entries"], figures["keys"], threadlocalmap._values._cells)
        """
    )
    assert printed == "[] 0 0 0 {}\n"
