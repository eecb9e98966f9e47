import asyncio
from contextlib import aclosing

import pytest

from splitreason_cli.serving.interleave import interleave


class Source:
    """Generators of numbers that count what they yielded and how many are open."""

    def __init__(self):
        self.yielded = 0
        self.open = 0

    async def count(self, upto, failure=None):
        self.open += 1
        try:
            for number in range(upto):
                self.yielded += 1
                yield number
            if failure:
                raise failure
        finally:
            self.open -= 1


async def collected(generators):
    return [item async for item in interleave(generators)]


def test_all_items_come_in_their_generator_s_order():
    source = Source()
    items = asyncio.run(collected([source.count(3), source.count(0), source.count(2)]))
    assert [number for index, number in items if index == 0] == [0, 1, 2]
    assert [number for index, number in items if index == 2] == [0, 1]
    assert (len(items), source.open) == (5, 0)


def test_generators_do_not_run_ahead_of_a_slow_consumer():
    async def slow(source):
        async with aclosing(interleave([source.count(1000), source.count(1000)])) as items:
            await anext(items)
            for _ in range(100):
                await asyncio.sleep(0)
            return source.yielded

    source = Source()
    assert asyncio.run(slow(source)) <= 6
    assert source.open == 0


def test_a_busy_generator_does_not_starve_the_others():
    async def first_of_the_second(source):
        async with aclosing(interleave([source.count(10**9), source.count(1)])) as items:
            position = 0
            while (await anext(items))[0] == 0:
                position += 1
            return position

    assert asyncio.run(first_of_the_second(Source())) <= 4


def test_a_failure_closes_all_and_is_raised():
    source = Source()
    with pytest.raises(ValueError, match="broken"):
        asyncio.run(collected([source.count(10**9), source.count(2, ValueError("broken"))]))
    assert source.open == 0


def test_a_cancelled_consumer_closes_all():
    async def cancelled(source):
        task = asyncio.create_task(collected([source.count(10**9)]))
        while not source.yielded:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return source.open

    assert asyncio.run(cancelled(Source())) == 0
