"""Many calls in flight, results in the order of their inputs, for callers that are not asynchronous."""

import asyncio
import contextlib
import signal
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator
from itertools import islice
from types import FrameType
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

WINDOW = 1024
"""Inputs read ahead of the oldest unfinished one, so that one slow call does not idle the others."""

GRACE_SECONDS = 5.0
"""How long an interrupted run waits for the calls in flight, whose answers are paid for."""


class StopMappingError(Exception):
    """Raised by a call: start no other, but let those in flight take their time."""


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

    Raises whatever `call` or `items` raise, and KeyboardInterrupt, after the results before the first missing one.
    """
    calls = _Calls(call, concurrency)
    with asyncio.Runner() as runner, _ctrl_c_stops(calls, runner.get_loop()):
        tasks: deque[asyncio.Task[R]] = deque()
        pending = iter(items)
        try:
            while not calls.failure:
                todo = islice(pending, WINDOW - len(tasks))
                tasks.extend(runner.get_loop().create_task(calls.in_slot(item)) for item in todo)
                if not tasks:
                    return
                runner.run(calls.end_of(tasks[0]))
                if tasks[0].done() and not calls.failure:
                    yield tasks.popleft().result()
            runner.run(calls.end(tasks, None if isinstance(calls.failure, StopMappingError) else GRACE_SECONDS))
            while tasks and not tasks[0].cancelled() and not tasks[0].exception():
                yield tasks.popleft().result()
            raise calls.failure
        finally:
            runner.run(calls.end(tasks, GRACE_SECONDS))
            runner.run(_awaited(at_end))


@contextlib.contextmanager
def _ctrl_c_stops(calls: "_Calls[T, R]", loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Let the first Ctrl-C stop `calls`; raised just anywhere, it could leave the loop or a connection half changed.

    So does SIGTERM where the process handles it.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    handled = {number: old for number, old in before.items() if old not in (signal.SIG_IGN, signal.SIG_DFL, None)}
    if threading.current_thread() is not threading.main_thread():
        handled = {}

    def restore() -> None:
        for number, old in handled.items():
            signal.signal(number, old)

    def stop(number: int, frame: FrameType | None) -> None:
        restore()
        calls.failure = calls.failure or KeyboardInterrupt()
        loop.call_soon_threadsafe(calls.stop, calls.failure)

    for number in handled:
        signal.signal(number, stop)
    try:
        yield
    finally:
        restore()
    if isinstance(calls.failure, KeyboardInterrupt):
        raise calls.failure


class _Calls(Generic[T, R]):
    """Calls in a limited number of slots, until one fails."""

    def __init__(self, call: Callable[[T], Awaitable[R]], concurrency: int) -> None:
        self._call = call
        self._slots = asyncio.Semaphore(concurrency)
        self._stopped = asyncio.Event()
        self._running: set[asyncio.Task[R] | None] = set()
        self.failure: BaseException | None = None

    def stop(self, failure: BaseException) -> None:
        """Start no further call. The first failure is raised where the results are read, once those in flight end."""
        self.failure = self.failure or failure
        self._stopped.set()

    async def in_slot(self, item: T) -> R:
        async with self._slots:
            if self._stopped.is_set():
                raise asyncio.CancelledError
            task = asyncio.current_task()
            self._running.add(task)
            try:
                return await self._call(item)
            except Exception as error:
                self.stop(error)
                raise
            finally:
                self._running.discard(task)

    async def end_of(self, task: "asyncio.Task[R]") -> None:
        """Wait for one call, or for the failure of any."""
        failed = asyncio.ensure_future(self._stopped.wait())
        await asyncio.wait([task, failed], return_when=asyncio.FIRST_COMPLETED)
        failed.cancel()

    async def end(self, tasks: "Iterable[asyncio.Task[R]]", seconds: float | None) -> None:
        """Start no further call, wait for those in flight, and cancel what is left after so many seconds."""
        self._stopped.set()
        if self._running:
            await asyncio.wait({task for task in self._running if task}, timeout=seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _awaited(call: Callable[[], Awaitable[None]]) -> None:
    await call()
