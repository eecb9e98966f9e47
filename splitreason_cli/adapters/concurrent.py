"""Many calls in flight, results in the order of their inputs, for callers that are not asynchronous."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Iterable
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

WINDOW = 1024
"""Inputs read ahead of the oldest unfinished one, so that one slow call does not idle the others."""

GRACE_SECONDS = 5.0
"""How long an interrupted run waits for the calls in flight, whose answers are paid for."""


async def _nothing() -> None:
    pass


def map_ordered(
    call: Callable[[T], Awaitable[R]],
    items: Iterable[T],
    concurrency: int,
    at_end: Callable[[], Awaitable[None]] = _nothing,
) -> Generator[R, None, None]:
    """Apply `call` to every item, at most `concurrency` at a time; yields the results in the order of `items`.

    On Ctrl-C, on an exception of a call, or when the caller stops iterating, no further call starts and those in flight
    have `GRACE_SECONDS` to end. The event loop runs only while a result is waited for, and at last for `at_end`.

    Raises whatever `call` or `items` raise, and KeyboardInterrupt.
    """
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        slots = asyncio.Semaphore(concurrency)
        stopped = asyncio.Event()
        running: set[asyncio.Task[R]] = set()

        async def in_slot(item: T) -> R:
            async with slots:
                if stopped.is_set():
                    raise asyncio.CancelledError
                task = asyncio.current_task()
                assert task is not None
                running.add(task)
                try:
                    return await call(item)
                finally:
                    running.discard(task)

        tasks: deque[asyncio.Task[R]] = deque()
        pending = iter(items)
        try:
            while True:
                tasks.extend(loop.create_task(in_slot(item)) for item in islice(pending, WINDOW - len(tasks)))
                if not tasks:
                    return
                runner.run(_end_of(tasks[0]))
                yield tasks.popleft().result()
        finally:
            stopped.set()
            runner.run(_end_within(GRACE_SECONDS, running, tasks))
            runner.run(_awaited(at_end))


async def _awaited(call: Callable[[], Awaitable[None]]) -> None:
    await call()


async def _end_of(task: "asyncio.Task[R]") -> None:
    # Unlike `await task`, this leaves the call alone when Ctrl-C cancels the waiting.
    await asyncio.wait([task])


async def _end_within(seconds: float, running: "set[asyncio.Task[R]]", tasks: "Iterable[asyncio.Task[R]]") -> None:
    if running:
        await asyncio.wait(set(running), timeout=seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
