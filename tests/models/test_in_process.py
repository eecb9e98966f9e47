"""A model in this process as a backend: what it was asked in between does not change what a stream writes."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing

import pytest

from splitreason_cli.models.backend import StreamRequest
from splitreason_cli.models.in_process import InProcessBackend
from splitreason_cli.models.loading import load_model
from splitreason_cli.models.sampling import Sampling

ASKED = {
    "nothing": lambda session, ids, written: None,
    "the same text": lambda session, ids, written: session.prefill([*ids, *written]),
    "another text": lambda session, ids, written: session.next_token([[9, 8, 7]], 5),
    "a longer text": lambda session, ids, written: session.next_token([[*ids, *written, 6, 6, 6]], 5),
    "the prompt": lambda session, ids, written: session.prefill(ids),
}


@pytest.fixture(scope="module")
def small():
    return load_model("mini-split")


def streamed(loaded, ask, every=2):
    async def run(thread):
        session, written = InProcessBackend(loaded, thread).session(), []
        ids = loaded.prompt_ids("a) 482+7", hint=True)
        request = StreamRequest(20, Sampling(1.0), stop=frozenset(), seed=1)
        async with aclosing(session.stream(ids, request)) as chunks:
            async for chunk in chunks:
                written += chunk.ids
                if len(written) % every == 0 and (asked := ask(session, ids, written)):
                    await asked
        return written

    with ThreadPoolExecutor(1) as thread:
        return asyncio.run(run(thread))


@pytest.mark.parametrize("asked", sorted(ASKED))
def test_what_is_asked_in_between_changes_nothing(small, asked):
    assert streamed(small, ASKED[asked]) == streamed(small, ASKED["nothing"])
