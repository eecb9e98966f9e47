"""Surprisal by a server: the same spans as by the models in this process.

The server speaks vLLM's protocol for `prompt_logprobs`, around the embedded models themselves.
"""

import itertools
import json
import re

import pytest
import torch
from starlette.responses import JSONResponse

from splitreason_cli.annotating.annotators.base import Failure
from splitreason_cli.annotating.annotators.surprisal import (
    HardUnits,
    LocalSurprisal,
    ServedSurprisal,
    SurprisalConfig,
    annotated_with,
    hard_units,
)
from splitreason_cli.models.endpoint import EndpointConfig
from splitreason_cli.models.loading import load_model
from splitreason_cli.records import markup
from splitreason_cli.records.data import Trace
from splitreason_cli.records.sentences import sentences
from splitreason_cli.store.embedded import MINI_TRACES
from splitreason_cli.store.jsonl import decode, read_lines
from splitreason_cli.store.replies import Replies
from tests.scripted_endpoint import serving

CONFIG = SurprisalConfig("mini-small", "mini-big", threshold=0.7, fraction=0.2)


class LogprobServer:
    """`POST /v1/completions` with token ids and `prompt_logprobs`."""

    def __init__(self, max_tokens=10**6, forgets=False):
        self.forgets = forgets
        self.models = {name: load_model(name).model for name in (CONFIG.small, CONFIG.big)}
        self.lengths, self.max_tokens = [], max_tokens

    async def complete(self, request):
        body = json.loads(await request.body())
        ids = body["prompt"]
        self.lengths.append(len(ids))
        if len(ids) > self.max_tokens:
            message = f"This model's maximum context length is {self.max_tokens} tokens"
            return JSONResponse({"error": {"message": message}}, status_code=400)
        with torch.inference_mode():
            logprobs = self.models[body["model"]](torch.tensor([ids])).logits[0].log_softmax(-1)
        entries = [None] + [{str(i): {"logprob": float(row[i])}} for i, row in zip(ids[1:], logprobs, strict=False)]
        if body.get("prompt_logprobs") is None:
            entries = None
        if self.forgets:
            entries[-1] = None
        return JSONResponse({"choices": [{"index": 0, "text": "", "prompt_logprobs": entries}]})


@pytest.fixture(scope="module")
def traces():
    return [decode(line, Trace.from_dict) for line in itertools.islice(read_lines(MINI_TRACES), 24)]


def served(server, folder, traces):
    with serving(server) as url:
        endpoints = tuple(EndpointConfig(url, name, concurrency=4, max_retries=0) for name in server.models)
        return list(ServedSurprisal(CONFIG, endpoints, Replies(folder, "run")).annotate(traces))


def test_servers_mark_what_the_models_here_mark_and_are_asked_once(tmp_path, traces):
    (tmp_path / "local").mkdir()
    (tmp_path / "served").mkdir()
    here = list(LocalSurprisal(CONFIG, Replies(tmp_path / "local", "run")).annotate(traces))
    server = LogprobServer()
    there = served(server, tmp_path / "served", traces)
    assert [[(s.start, s.end) for s in t.spans] for t in there] == [[(s.start, s.end) for s in t.spans] for t in here]
    assert sum(len(trace.spans) for trace in there) > 10
    assert len(server.lengths) == 48
    assert served(server, tmp_path / "served", traces) == there
    assert len(server.lengths) == 48


def test_a_trace_that_is_too_long_for_the_server_fails_alone_with_its_words(tmp_path, traces):
    (tmp_path / "all").mkdir()
    (tmp_path / "few").mkdir()
    server = LogprobServer()
    served(server, tmp_path / "all", traces[:6])
    server.max_tokens = sorted(server.lengths)[6]
    outcomes = served(server, tmp_path / "few", traces[:6])
    failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    assert 0 < len(failures) < 6
    assert all("maximum context length" in failure.reason for failure in failures)


def test_a_server_that_leaves_out_a_token_has_scored_nothing(tmp_path, traces):
    outcomes = served(LogprobServer(forgets=True), tmp_path, traces[:2])
    assert ["no log-probability of some tokens" in outcome.reason for outcome in outcomes] == [True, True]


def test_a_trace_longer_than_the_models_here_fails_for_good(tmp_path, traces):
    long = Trace(id="long", problem="p", answer="1", reasoning="1 " * 3000)
    outcomes = list(LocalSurprisal(CONFIG, Replies(tmp_path, "run")).annotate([traces[0], long]))
    assert outcomes[0].spans
    assert outcomes[1].permanent
    assert "the models read" in outcomes[1].reason


def marked(text, hard, fraction):
    """What is marked if the tokens of these words surprise by so much, in the order of the text."""
    offsets = [match.span() for match in re.finditer(r"\S+", text)]
    gaps = [hard.get(text[start:end], 0.0) for start, end in offsets]
    units = (markup.line_spans(text, [(0, len(text))]), sentences(text), offsets)
    scored = ([(one.start, one.end, one.score) for one in hard_units(unit, offsets, gaps, 0.7)] for unit in units)
    trace = Trace(id="t", problem="p", answer="1", reasoning=text)
    config = SurprisalConfig("a", "b", 0.7, fraction)
    found = annotated_with(trace, HardUnits(*scored), config)
    return [text[span.start : span.end] for span in found.spans], [one.snippet for one in found.unplaced]


LINE = "We add one. Then we subtract two. So it is even. Is it? It is three."
LINES = f"{LINE}\nAnd then?\n{LINE.replace('subtract', 'divide')}"


def test_whole_lines_are_marked_where_they_fit():
    assert marked(LINES, {"then?": 1.0}, 0.2) == (["And then?"], [])
    assert marked(LINES, {"subtract": 1.0}, 0.5) == ([LINE], [])


def test_sentences_are_marked_where_lines_are_too_long():
    assert marked(LINES, {"subtract": 1.0}, 0.3) == (["Then we subtract two."], [])
    assert marked(LINES, {"subtract": 1.0, "divide": 2.0}, 0.2) == (["Then we divide two."], ["Then we subtract two."])


def test_neighbouring_sentences_are_one_span():
    assert marked(LINE, {"subtract": 1.0, "even.": 1.0}, 0.6) == (["Then we subtract two. So it is even."], [])


def test_words_are_marked_where_no_sentence_fits():
    text = "we add the numbers and then we subtract seventeen of them and so on " * 4
    assert marked(text, {"subtract": 1.0, "seventeen": 1.5}, 0.2)[0] == ["subtract seventeen"] * 2 + ["seventeen"] * 2
    assert marked(text, {"subtract": 1.0}, 0.0)[0] == []
