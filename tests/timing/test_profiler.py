"""A scripted server that takes as long as a clock says which only it moves."""

import json

import pytest
from starlette.responses import JSONResponse

from splitreason_cli.errors import EndpointError
from splitreason_cli.split.latency import Rates
from splitreason_cli.timing.profiler import profile
from splitreason_cli.timing.profiling import ProfilePlan
from tests.scripted_endpoint import serving

PLAN = ProfilePlan(short_tokens=64, long_tokens=576, decode_tokens=32, repetitions=3)
RATES = Rates(2000, 50)


class TimedServer:
    """Knows each prompt's blocks of 16 tokens, which it need not read again."""

    def __init__(self, obeys=True, max_tokens=10**6, names=("m",), steady=True):
        self.now, self.cached, self.bodies = 0.0, set(), []
        self.obeys, self.max_tokens, self.names, self.steady = obeys, max_tokens, names, steady

    def clock(self):
        return self.now

    async def models(self, request):
        return JSONResponse({"object": "list", "data": [{"id": name} for name in self.names]})

    async def complete(self, request):
        body = json.loads(await request.body())
        self.bodies.append(body)
        prompt, tokens = body["prompt"], body["max_tokens"] if self.obeys else min(5, body["max_tokens"])
        if len(prompt) + tokens > self.max_tokens:
            message = f"This model's maximum context length is {self.max_tokens} tokens"
            return JSONResponse({"error": {"message": message}}, status_code=400)
        blocks = {tuple(prompt[:end]) for end in range(16, len(prompt) + 1, 16)}
        if self.steady:
            self.now += 0.125 + RATES.prefill_seconds(16 * len(blocks - self.cached))
            self.now += RATES.decode_seconds(tokens - 1)
        self.cached |= blocks
        usage = {"prompt_tokens": len(prompt), "completion_tokens": tokens}
        return JSONResponse({"choices": [{"index": 0, "text": ""}], "usage": usage})


def profiled(server):
    with serving(server) as url:
        return profile(url, PLAN, clock=server.clock)


def test_a_servers_rates_are_measured_on_prompts_it_has_not_seen():
    server = TimedServer(names=("first", "second"))
    name, measured = profiled(server)
    assert name == "first"
    assert measured.rates.prefill_tokens_per_second == pytest.approx(RATES.prefill_tokens_per_second)
    assert measured.rates.decode_tokens_per_second == pytest.approx(RATES.decode_tokens_per_second)
    assert measured.request_seconds == pytest.approx(0.125)
    assert {body["model"] for body in server.bodies} == {"first"}
    # The first repetition only warms the server up.
    assert len(server.bodies) == 4 * 3
    # A second run on the same server is not answered from its cache either.
    again = TimedServer()
    again.cached = server.cached
    assert profiled(again)[1].rates.prefill_tokens_per_second == pytest.approx(2000)


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        (TimedServer(obeys=False), "asked for 33 tokens, the server wrote 5"),
        (TimedServer(max_tokens=512), "maximum context length is 512"),
        (TimedServer(names=()), "the server offers no model"),
        (TimedServer(steady=False), "a longer prompt took no longer"),
    ],
)
def test_a_server_that_cannot_be_measured_is_named_with_the_reason(server, reason):
    with pytest.raises(EndpointError, match=reason) as caught:
        profiled(server)
    assert "http://127.0.0.1" in str(caught.value)
