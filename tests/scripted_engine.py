"""An engine for tests of the HTTP API: it generates by a script, and tells what became of its generators."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from splitreason_cli.serving.engine import EngineUnavailable
from splitreason_cli.serving.requests import Delta, Finished, GenerationRequest, Usage

WAIT = "wait"
"""A step at which the engine waits until its generator is closed, or `release` is called."""

Step = Delta | Finished | Exception | str

USAGE = Usage(
    prompt_tokens=7,
    completion_tokens=10,
    big_tokens=4,
    spans=2,
    refused=1,
    overrun_tokens=3,
    control_tokens=5,
    hand_over_seconds=(0.02, 0.3),
)

ANSWER: tuple[Step, ...] = (
    Delta("Two and two", "small", "reasoning"),
    Delta(" make four.", "big", "reasoning"),
    Delta("It is ", "small", "content"),
    Delta("4 🙂", "big", "content"),
    Finished("stop", USAGE),
)


@dataclass
class ScriptedEngine:
    """The first completion follows the first script, and so on; the last script serves all further ones.

    `running` counts generators that were started and have not ended, `requests` holds what was asked for.
    """

    scripts: Sequence[Sequence[Step]] = (ANSWER,)
    models: tuple[str, ...] = ("pair",)
    down: str = ""
    requests: list[GenerationRequest] = field(default_factory=list)
    running: int = 0
    peak: int = 0
    released: bool = False

    async def check(self) -> None:
        if self.down:
            raise EngineUnavailable(self.down)

    def release(self) -> None:
        self.released = True

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Delta | Finished, None]:
        script = self.scripts[min(len(self.requests), len(self.scripts) - 1)]
        self.requests.append(request)
        self.running += 1
        self.peak = max(self.peak, self.running)
        try:
            await self.check()
            for step in script:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, str):
                    while not self.released:
                        await asyncio.sleep(0.005)
                else:
                    yield step
        finally:
            self.running -= 1
