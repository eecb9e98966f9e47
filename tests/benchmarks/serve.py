"""What `srx serve` itself adds: latency of an event under 64 paced streams, and memory over 10,000 requests.

    python tests/benchmarks/serve.py
    python tests/benchmarks/serve.py --smallest

Both models are fakes in the server's process that release a token every 40 ms (25 tokens/s); one token in twenty is the
big model's. An event's latency is the time from when its token was due to when the client, another process, has it.
"""

import argparse
import asyncio
import contextlib
import multiprocessing
import re
import statistics
import tempfile
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import aiohttp
import orjson
from rich.console import Console

from splitreason_cli.models.backend import BackendPair, Chunk, NextToken, StreamRequest
from splitreason_cli.models.loading import load_tokenizer_only
from splitreason_cli.models.pair import Pair
from splitreason_cli.serving.http_api import ServerConfig, create_app
from splitreason_cli.serving.split_engine import EngineConfig, SplitEngine

LETTER = "x"
START_SECONDS = 120.0
"""How long a server may take until it listens."""


class PacedBackend:
    """Both a backend and its sessions. Writes one letter over and over; the prompt's first line numbers the stream."""

    has_logprobs: ClassVar[bool] = True

    def __init__(self, tokenizer: Any, seconds_per_token: float, due: dict[int, list[float]]) -> None:
        self.model = "paced"
        self._tokenizer, self._pace, self._due = tokenizer, seconds_per_token, due
        (self._letter,) = tokenizer.encode(LETTER, add_special_tokens=False)

    def session(self) -> "PacedBackend":
        return self

    async def check(self) -> None:
        pass

    async def aclose(self) -> None:
        pass

    async def prefill(self, ids: Sequence[int]) -> None:
        pass

    async def next_token(self, contexts: Sequence[Sequence[int]], token: int) -> list[NextToken]:
        return [NextToken(-9.0, is_argmax=False) for _ in contexts]

    async def stream(self, ids: Sequence[int], request: StreamRequest) -> AsyncGenerator[Chunk, None]:
        max_tokens = request.max_tokens
        due: list[float] = []
        if self._pace:
            numbers = re.findall(r"\d+", self._tokenizer.decode(ids[:16]))
            due = self._due.setdefault(int(numbers[0]), due)
        start = time.perf_counter()
        for number in range(1, max_tokens + 1):
            at = start + number * self._pace
            await asyncio.sleep(at - time.perf_counter())
            due.append(at)
            yield Chunk((self._letter,), None, "length" if number == max_tokens else None)


def serve(port: Any, end: Any, seconds_per_token: float, due_file: Path) -> None:
    """Listen on a free port until `end` is set; then write when each token was due, by stream."""
    import uvicorn

    loaded, due = load_tokenizer_only("mini-split"), {}
    backends = BackendPair(*(PacedBackend(loaded.tokenizer, seconds_per_token, due) for _ in range(2)))
    config = EngineConfig("paced", policy="random(5%, 16)", max_tokens=4096)
    engine = SplitEngine(backends, Pair.of(loaded, loaded, hint=True), config)
    server = uvicorn.Server(
        uvicorn.Config(create_app(engine, ServerConfig(max_concurrency=128)), port=0, log_level="error")
    )

    async def run() -> None:
        task = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        port.put(server.servers[0].sockets[0].getsockname()[1])
        while not end.is_set():
            await asyncio.sleep(0.5)
        server.should_exit = True
        await task

    asyncio.run(run())
    due_file.write_bytes(orjson.dumps({str(number): times for number, times in due.items()}))


async def request(client: aiohttp.ClientSession, url: str, number: int, tokens: int) -> list[float]:
    """When each letter of one stream came."""
    body = {"model": "paced", "prompt": f"{number}\n", "max_tokens": tokens, "stream": True, "seed": number}
    arrived: list[float] = []
    async with client.post(f"{url}/v1/completions", json=body) as response:
        response.raise_for_status()
        async for line in response.content:
            if line.startswith(b"data: {"):
                now = time.perf_counter()
                arrived += [now for choice in orjson.loads(line[6:])["choices"] for _ in choice["text"]]
    return arrived


async def load(url: str, streams: int, tokens: int) -> list[list[float]]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
        return await asyncio.gather(*(request(client, url, number, tokens) for number in range(streams)))


async def churn(url: str, pid: int, requests: int, concurrency: int) -> list[float]:
    """Resident memory in MB after every tenth of many short requests."""
    memory = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
        numbers = iter(range(requests))

        async def worker() -> None:
            for number in numbers:
                await request(client, url, number, 32)
                if (number + 1) % (requests // 10) == 0:
                    memory.append(resident_mb(pid))

        await asyncio.gather(*(worker() for _ in range(concurrency)))
    return memory


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024  # type: ignore[index]


@contextlib.contextmanager
def serving(pace: float, due_file: Path) -> Iterator[tuple[str, int]]:
    """The address and the process id of a server, which ends with the block."""
    port: multiprocessing.Queue[int] = multiprocessing.Queue()
    end = multiprocessing.Event()
    process = multiprocessing.Process(target=serve, args=(port, end, pace, due_file), daemon=True)
    process.start()
    assert process.pid is not None
    try:
        yield f"http://127.0.0.1:{port.get(timeout=START_SECONDS)}", process.pid
    finally:
        end.set()
        process.join()


def latency(streams: int, tokens: int, due_file: Path) -> str:
    """How late tokens come."""
    with serving(0.04, due_file) as (url, _):
        arrived = asyncio.run(load(url, streams, tokens))
    due = orjson.loads(due_file.read_bytes())
    late = sorted(
        1000 * (came - at)
        for number, times in enumerate(arrived)
        for came, at in zip(times, due[str(number)], strict=True)
    )
    return (
        f"{streams} streams of 25 tokens/s, {len(late):,} of {streams * tokens:,} tokens came: latency median "
        f"{statistics.median(late):.1f} ms, 95 % {late[int(0.95 * len(late))]:.1f}, "
        f"99 % {late[int(0.99 * len(late))]:.1f}, largest {late[-1]:.1f}"
    )


def memory(streams: int, requests: int, due_file: Path) -> str:
    """What stays in memory of requests that are over."""
    with serving(0.0, due_file) as (url, pid):
        begun = time.perf_counter()
        tenths = asyncio.run(churn(url, pid, requests, streams))
        seconds = time.perf_counter() - begun
    measured = ", ".join(f"{mb:.1f}" for mb in tenths)
    return f"{requests:,} requests of 32 tokens in {seconds:.0f} s: resident MB after each tenth {measured}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=500)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--smallest", action="store_true", help="in place of all other sizes")
    arguments = parser.parse_args()
    sizes = (4, 20, 20) if arguments.smallest else (arguments.streams, arguments.tokens, arguments.requests)
    streams, tokens, requests = sizes
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        due_file = Path(folder) / "due.json"
        console.print(latency(streams, tokens, due_file))
        console.print(memory(streams, requests, due_file))


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    main()
