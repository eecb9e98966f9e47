"""Traces annotated through a scripted chat endpoint."""

import contextlib
import random

import pytest

from splitreason_cli.annotating.annotate import AnnotateConfig, AnnotateWatcher, Progress, Resources, annotate
from splitreason_cli.models.endpoint import EndpointConfig
from splitreason_cli.records.data import AnnotatedTrace, Rejected, Trace
from splitreason_cli.store.artifacts import Store
from splitreason_cli.store.jsonl import decode, encode, read_lines, write_atomically
from splitreason_cli.store.source import Source
from tests.scripted_endpoint import serving

WORDS = ["so", "the", "sum", "of", "all", "terms", "is", "even", "and", "we", "check", "each", "case", "again", "prime"]


def reasoning(number):
    rng = random.Random(number)
    lines = [f"{n}) " + " ".join(rng.choices(WORDS, k=rng.randint(8, 20))) for n in range(12)]
    return "\n".join(lines)


def traces(count):
    return [
        Trace(id=f"t{n}", problem=f"Problem {n}", answer=str(n), reasoning=reasoning(n), response="It is so.")
        for n in range(count)
    ]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


class Case:
    """A scripted endpoint and one input, annotated as often as a test likes."""

    def __init__(self, folder, store, endpoint, url, count):
        write_atomically(folder / "in.jsonl", map(encode, traces(count)))
        self.folder, self.store, self.endpoint, self.url = folder, store, endpoint, url
        self.at = Progress()

    def run(self, *, config=None, budget=None, strict=False, response_format="auto", tokens=None, **changes):
        settings = {"model": "m", "concurrency": 8, "timeout_seconds": 60.0, "max_retries": 3, **changes}
        resources = Resources((EndpointConfig(self.url, **settings),), response_format, budget, tokens)
        config = config or AnnotateConfig(annotator="llm", model="m")
        source = Source.open(str(self.folder / "in.jsonl"), self.store)

        def note(progress):
            self.at = progress

        watcher = AnnotateWatcher(on_progress=note)
        return annotate(source, config, self.store, resources, strict=strict, watcher=watcher)


@pytest.fixture
def case(tmp_path, store):
    """Makes a case around an endpoint, served while the test runs."""
    with contextlib.ExitStack() as stack:

        def make(endpoint, count=20):
            return Case(tmp_path, store, endpoint, stack.enter_context(serving(endpoint)), count)

        yield make


def annotated(artifact):
    return [decode(line, AnnotatedTrace.from_dict) for line in read_lines(artifact.records)]


def rejected(artifact):
    lines = read_lines(artifact.rejected) if artifact.rejected.exists() else ()
    return [decode(line, Rejected.from_dict) for line in lines]
