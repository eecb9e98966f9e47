"""What the hub refuses is one line that says why."""

import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from tests.cli.test_bad_input import complaint
from tests.scripted_endpoint import running


@pytest.mark.parametrize(
    ("status", "headers", "said"),
    [
        (401, {"X-Error-Code": "RepoNotFound"}, "Repository Not Found"),
        (401, {}, "401 Unauthorized"),
        (403, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted"}, "Cannot access gated repo"),
        (404, {"X-Error-Code": "RevisionNotFound"}, "Revision Not Found"),
        (500, {}, "Error"),
    ],
)
def test_a_refusal_of_the_hub_is_one_line(srx, monkeypatch, status, headers, said):
    def refuse(request):
        return Response(b"{}", status, headers, "application/json")

    with running(Starlette(routes=[Route("/{path:path}", refuse)])) as url:
        monkeypatch.setenv("HF_ENDPOINT", url)
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        message = complaint(srx("annotate", "--in", "hf://owner/set"), 3)
    assert message.startswith("error: hf://owner/set: ")
    assert said in message
    assert "HF_TOKEN" in message
