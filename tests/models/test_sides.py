"""Which backend and which model a side of the pair becomes."""

from contextlib import ExitStack

import pytest

from splitreason_cli.errors import EndpointError, UsageError
from splitreason_cli.models.in_process import InProcessBackend
from splitreason_cli.models.named import PROTOCOLS
from splitreason_cli.models.sides import Side, start_pair
from splitreason_cli.models.text_http import TextBackend
from splitreason_cli.models.vllm_http import CompletionsBackend
from tests.scripted_endpoint import serving
from tests.scripted_vllm import ScriptedVllm


def started(protocol="", **options):
    with serving(ScriptedVllm(served=("adapter", "mini"))) as url, ExitStack() as stack:
        return start_pair(Side("mini-split"), Side(protocol + url, "mini-big", **options), stack)


def test_embedded_models_run_here_and_urls_serve_token_ids():
    small, big = started()
    assert isinstance(small.backend, InProcessBackend)
    assert type(big.backend) is CompletionsBackend
    assert (big.backend.model, big.context_tokens) == ("adapter", None)


def test_one_of_several_served_models_is_chosen_by_name():
    _, big = started(served_name="mini")
    assert big.backend.model == "mini"


def test_a_name_that_is_not_served_is_an_error_that_tells_what_is():
    with pytest.raises(EndpointError, match=r"serves no other\. It serves adapter, mini"):
        started(served_name="other")


def test_a_server_of_text_only_has_no_log_probabilities():
    _, big = started(served_name="mini", text_only=True)
    assert isinstance(big.backend, TextBackend)
    assert not big.backend.has_logprobs


def test_a_protocol_is_named_before_the_address(monkeypatch):
    class Shouting(CompletionsBackend):
        """A backend of the same servers under a protocol of its own."""

    monkeypatch.setitem(PROTOCOLS, "shout", Shouting.of)
    assert type(started("text+")[1].backend) is TextBackend
    assert type(started("tokens+")[1].backend) is CompletionsBackend
    _, big = started("shout+")
    assert type(big.backend) is Shouting
    assert "+" not in big.backend.urls[0]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("smoke+http://a", r"unknown protocol 'smoke'\. Known are tokens\+http://\.\.\., text\+http"),
        ("text+http://a,http://b", "speak different protocols"),
        ("http://a,mini-big", "not all of these are URLs"),
    ],
)
def test_addresses_that_do_not_go_together_are_refused(model, message):
    with pytest.raises(UsageError, match=message):
        Side(model, "mini-big")
