import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from splitreason_cli.errors import EndpointError
from splitreason_cli.models.backend import BackendError, Session
from splitreason_cli.models.in_process import InProcessBackend
from splitreason_cli.models.loading import load_model
from splitreason_cli.models.sides import Running, Side
from splitreason_cli.timing.measure import LatencyConfig, ModeRun, _decode, _Runs, bench_latency, summarize
from splitreason_cli.timing.workload import Workload
from tests.scripted import scripted
from tests.scripted_backend import ScriptedBackend
from tests.scripted_endpoint import serving
from tests.served_model import ServedModel

CONFIG = LatencyConfig(Side("a"), Side("b"), Workload(tokens=1000, share=0.1, spans=2))


class CountedBackend(InProcessBackend):
    """Counts the sessions that were opened, and those that still are open."""

    opened = open_sessions = 0

    def session(self):
        self.opened, self.open_sessions = self.opened + 1, self.open_sessions + 1
        return CountedSession(super().session(), self)


@dataclass
class CountedSession:
    """Tells its backend when it is closed."""

    session: Session
    backend: CountedBackend

    def __getattr__(self, name):
        return getattr(self.session, name)

    async def aclose(self):
        self.backend.open_sessions -= 1
        await self.session.aclose()


def one_round(small, big, pipelined):
    alone = {"small": ModeRun(small), "big": ModeRun(big), "cold": ModeRun(0.3)}
    return {**alone, "pipelined": ModeRun(pipelined, (0.5,), 6, 8)}


def test_times_are_compared_within_a_round():
    rounds = [one_round(1, 2, 1.5), one_round(10, 20, 15), one_round(2, 4, 3)]
    result = summarize("pipelined", rounds, CONFIG)
    assert (result.seconds, result.seconds_range) == (3, (1.5, 15))
    assert (result.times_small, result.times_small_range) == (1.5, (1.5, 1.5))


def test_overhead_is_what_decoding_alone_does_not_explain():
    result = summarize("pipelined", [one_round(10, 20, 12)], CONFIG)
    assert result.overhead_seconds == pytest.approx(12 - (0.9 * 10 + 0.1 * 20))
    assert result.predicted_seconds == pytest.approx(12 - result.overhead_seconds, rel=0.01)
    assert (result.control_tokens, result.overrun_tokens, result.hand_over_seconds) == (6, 4, 0.5)


def test_a_model_alone_has_no_overhead_and_no_spans():
    result = summarize("big", [one_round(10, 20, 12)], CONFIG)
    assert (result.times_small, result.overhead_seconds, result.spans) == (2, None, 0)


def test_a_single_token_is_not_compared_with_a_completion():
    result = summarize("warm", [{**one_round(10, 20, 12), "warm": ModeRun(0.02)}], CONFIG)
    assert (result.tokens, result.seconds, result.times_small) == (1, 0.02, None)
    assert result.prefix_tokens == CONFIG.prefix_tokens


def test_a_server_that_refuses_ends_the_benchmark_by_its_words(tmp_path):
    with serving(ServedModel(load_model("mini-big"), lambda body: "refused")) as url:
        side = Side(url, "mini-big")
        config = LatencyConfig(side, side, rounds=1, log_folder=tmp_path)
        with pytest.raises(EndpointError, match="Check that both servers are up"):
            bench_latency(config)


def test_every_session_is_closed():
    workload = Workload(tokens=20, share=0.2, spans=1, sentence_tokens=2)
    config = LatencyConfig(Side("a"), Side("b"), workload, rounds=1, prefix_tokens=40)
    loaded = load_model("mini-split")
    with ThreadPoolExecutor(1) as thread:
        sides = [Running(CountedBackend(loaded, thread), loaded, None) for _ in range(2)]
        asyncio.run(_Runs(config, *sides).measure(lambda done, total: None))
    for side in sides:
        assert side.backend.opened > 0
        assert side.backend.open_sessions == 0


def test_a_model_that_writes_nothing_is_not_measured():
    silent = ScriptedBackend(scripted("silent"), 0, fault=lambda call, number: "empty")
    with pytest.raises(BackendError, match="without a token"):
        asyncio.run(_decode(silent, [1], 8))
    assert silent.calls["stream"] == 1


def test_a_scripted_span_ends_with_a_sentence():
    workload = Workload()
    assert workload.ends_sentence(workload.span_tokens)
    assert workload.ends_sentence(workload.span_tokens - workload.sentence_tokens)
    assert not workload.ends_sentence(1)
