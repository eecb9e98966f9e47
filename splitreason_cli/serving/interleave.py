"""Several asynchronous generators as one."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class _End:
    """A generator is through, or has raised `failure`."""

    failure: Exception | None = None


async def interleave(generators: Sequence[AsyncGenerator[T, None]]) -> AsyncGenerator[tuple[int, T], None]:
    """Yield (index of the generator, item) as the items come.

    Each has at most one item waiting, so that none starves the others or runs far ahead of a slow consumer. When one
    raises, when the consumer closes this generator or is cancelled, all are closed before that goes on. Raises what
    they raise.
    """
    queue: asyncio.Queue[tuple[int, T | _End]] = asyncio.Queue()
    turns = [asyncio.Semaphore() for _ in generators]
    tasks = [asyncio.create_task(_forward(i, g, queue, turns[i])) for i, g in enumerate(generators)]
    running = len(tasks)
    try:
        while running:
            index, item = await queue.get()
            turns[index].release()
            if not isinstance(item, _End):
                yield index, item
            elif item.failure:
                raise item.failure
            else:
                running -= 1
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _forward(
    index: int,
    generator: AsyncGenerator[T, None],
    queue: "asyncio.Queue[tuple[int, T | _End]]",
    turn: asyncio.Semaphore,
) -> None:
    end = _End()
    try:
        async with aclosing(generator):
            async for item in generator:
                await turn.acquire()
                queue.put_nowait((index, item))
    except Exception as failure:  # noqa: BLE001 - the consumer gets it
        end = _End(failure)
    queue.put_nowait((index, end))
