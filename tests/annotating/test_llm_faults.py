"""What each fault of a chat endpoint costs in calls, which traces come out, how the run ends, what a rerun asks."""

import json
import re
from dataclasses import dataclass, field

import pytest
from starlette.responses import HTMLResponse, JSONResponse, Response

from splitreason_cli.annotating.annotate import AnnotateConfig
from splitreason_cli.annotating.annotators.reading import MOST_SNIPPETS
from splitreason_cli.errors import EndpointError
from splitreason_cli.records.data import Trace
from splitreason_cli.store.jsonl import encode, write_atomically
from tests.annotating.conftest import annotated, reasoning, rejected, traces
from tests.scripted_endpoint import ScriptedEndpoint, completion, hardest_lines, refusal

ALL = ["t0", "t1", "t2", "t3"]
BAD = reasoning(1)
LINES = hardest_lines(BAD)
GOOD_TEXT = json.dumps({"snippets": LINES})


@dataclass
class Fault:
    """Four traces, one call at a time, at most one retry.

    Args:
        refuses: given the request's body.
        bad: what is sent about the second trace.
        out: ids that are annotated. code: how the run ends. reason: why the others are not, in part.
        calls, again: requests of the run, and of a rerun.
    """

    out: list[str]
    code: int
    calls: int
    again: int
    reason: str = ""
    refuses: object = None
    bad: object = None
    settings: dict = field(default_factory=dict)


def without(option, status, message):
    """Refused where the request has the option."""
    return lambda body: refusal(status, message) if option in body else None


def about_bad(status, message, **more):
    return lambda body: refusal(status, message, **more) if BAD in body["messages"][1]["content"] else None


def always(status, message, **more):
    return lambda body: refusal(status, message, **more)


def one_lost(calls, again, reason, **more):
    return Fault(["t0", "t2", "t3"], 4, calls, again, reason, **more)


def none_lost(calls, **more):
    return Fault(ALL, 0, calls, 0, **more)


def down(calls, reason, **more):
    return Fault([], 7, calls, calls, reason, **more)


TEMPERATURE = "Unsupported value: 'temperature' does not support 0 with this model."
LIMIT = "Unsupported parameter: 'max_completion_tokens'. Use 'max_tokens' instead."
ENDPOINTS = "No endpoints found that can handle the requested parameters."
TOO_LONG = "This model's maximum context length is 8192 tokens, your messages have 9001."
EMPTY = {"role": "assistant", "content": None}

PROSE = "I have marked them."

ELSEWHERE = {
    "thinking": {"content": None, "thinking": GOOD_TEXT},
    "reasoning_details": {"content": "", "reasoning_details": [{"type": "reasoning.text", "text": GOOD_TEXT}]},
    "thinking_blocks": {"content": None, "thinking_blocks": [{"type": "thinking", "thinking": GOOD_TEXT}]},
    "a part of thinking alone": {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": GOOD_TEXT}]}]},
    "reasoning beside prose": {"content": PROSE, "reasoning": GOOD_TEXT},
    "reasoning beside {}": {"content": "{}", "reasoning_content": GOOD_TEXT},
    "reasoning beside no snippets": {"content": '{"snippets": []}', "reasoning_content": GOOD_TEXT},
    "parsed": {"content": None, "parsed": {"snippets": LINES}},
    "function_call": {"content": None, "function_call": {"name": "mark", "arguments": GOOD_TEXT}},
    "a flat tool call": {"content": None, "tool_calls": [{"name": "mark", "arguments": {"snippets": LINES}}]},
    "a tool call that is no list": {"content": None, "tool_calls": {"function": {"arguments": GOOD_TEXT}}},
    "a part with a value": {"content": [{"type": "text", "text": {"value": GOOD_TEXT}}]},
    "a part with content": {"content": [{"type": "text", "content": GOOD_TEXT}]},
    "a part with output_text": {"content": [{"type": "output_text", "output_text": GOOD_TEXT}]},
    "parts in parts": {"content": [[None, {"type": "text", "text": GOOD_TEXT}]]},
    "a part that is no list": {"content": {"type": "text", "text": GOOD_TEXT}},
    "JSON of JSON": {"content": json.dumps(GOOD_TEXT)},
}

ODD_BODIES = {
    "a choice with a text": {"choices": [{"text": GOOD_TEXT}]},
    "a choice with a delta": {"choices": [{"delta": {"content": GOOD_TEXT}}]},
    "choices that are one": {"choices": {"message": {"content": GOOD_TEXT}}},
    "a message without choices": {"message": {"content": GOOD_TEXT}, "done": True},
    "log-probabilities of another kind": {"choices": [{"message": {"content": GOOD_TEXT}, "prompt_logprobs": [1]}]},
}

WHY = "It is hard because the cases were mixed up there."
SNIPPETS = {
    "snippets with reasons": {"snippets": [{"rank": 1, "snippet": line, "reason": WHY} for line in LINES]},
    "quotes with reasons": {"snippets": [{"Quote": line, "why": WHY, "type": "calculation"} for line in LINES]},
    "a list with reasons": [{"passage": line, "explanation": WHY, "category": "insight"} for line in LINES],
    "snippets in one text": {"snippets": "\n".join(LINES)},
    "snippets under names": {"snippets": {"first": LINES[0], "second": LINES[1]}},
    "snippets and numbers": {"snippets": [1, None, True, *LINES]},
    "lists of snippets": {"snippets": [[line] for line in LINES]},
}

FAULTS = {
    # One option is refused: it is left out once the server has named it, or refused it for two traces.
    "404 for response_format": none_lost(6, refuses=without("response_format", 404, ENDPOINTS)),
    "400 for response_format": none_lost(5, refuses=without("response_format", 400, "json_schema is not available")),
    "422 for response_format": none_lost(6, refuses=without("response_format", 422, "extra fields not permitted")),
    "403 for response_format": none_lost(6, refuses=without("response_format", 403, "not in your plan")),
    "500 for response_format": none_lost(6, refuses=without("response_format", 500, "Grammar error")),
    "501 for response_format": none_lost(8, refuses=without("response_format", 501, "not implemented")),
    "400 for temperature": none_lost(5, refuses=without("temperature", 400, TEMPERATURE)),
    "502 for response_format": none_lost(6, refuses=without("response_format", 502, "json_schema: bad gateway")),
    "503 for response_format": none_lost(8, refuses=without("response_format", 503, "no provider")),
    "400 for temperature, unnamed": none_lost(7, refuses=without("temperature", 400, "bad request")),
    "400 for max_completion_tokens": none_lost(
        5, refuses=without("max_completion_tokens", 400, LIMIT), settings={"tokens": 500}
    ),
    "400 in 200 for response_format": none_lost(
        5,
        refuses=lambda body: (
            JSONResponse({"error": {"code": 400, "message": "no schema"}}) if "response_format" in body else None
        ),
    ),
    "an error in 200 that names response_format": none_lost(
        5,
        refuses=lambda body: (
            JSONResponse({"error": "response_format is unknown"}) if "response_format" in body else None
        ),
    ),
    "an error in 200 with a text for a code": none_lost(
        5,
        refuses=lambda body: (
            JSONResponse({"error": {"code": "400", "message": "no schema"}}) if "response_format" in body else None
        ),
    ),
    "500 in 200 for response_format": none_lost(
        5,
        refuses=lambda body: (
            JSONResponse({"error": {"code": 500, "message": "grammar"}}) if "response_format" in body else None
        ),
    ),
    "nothing where JSON is forced": none_lost(
        12, refuses=lambda body: completion({"content": ""}) if "response_format" in body else None
    ),
    "400 for both, unnamed": none_lost(
        8,
        refuses=lambda body: (
            without("temperature", 400, "bad request")(body) or without("response_format", 400, "bad request")(body)
        ),
    ),
    # An option that other traces are answered with is left out for one alone.
    "500 for response_format and one trace": none_lost(
        6, refuses=lambda body: about_bad(500, "boom")(body) if "response_format" in body else None
    ),
    "400 for a schema and one trace": none_lost(
        5, refuses=lambda body: about_bad(400, "no grammar for it")(body) if "response_format" in body else None
    ),
    "400 for both": none_lost(
        6,
        refuses=lambda body: (
            without("temperature", 400, TEMPERATURE)(body)
            or without("response_format", 400, "no response_format")(body)
        ),
    ),
    # One input is refused: it alone is quarantined, for good where the words say why.
    "400 too long": one_lost(4, 0, TOO_LONG, refuses=about_bad(400, TOO_LONG, code="context_length_exceeded")),
    "422 too long": one_lost(
        4, 0, "tokens", refuses=about_bad(422, "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000")
    ),
    "413": one_lost(4, 0, "HTTP 413: Payload Too Large", refuses=about_bad(413, "Payload Too Large")),
    "500 too long": one_lost(5, 0, "exceeds the context", refuses=about_bad(500, "input exceeds the context size")),
    "403 flagged": one_lost(4, 0, "flagged", refuses=about_bad(403, "Your input was flagged for violence.")),
    "400 filter": one_lost(4, 0, "violates", refuses=about_bad(400, "It violates terms.", code="content_filter")),
    "400 risk": one_lost(4, 0, "Content Exists Risk", refuses=about_bad(400, "Content Exists Risk")),
    "403 of unknown cause": one_lost(4, 4, "HTTP 403: no", refuses=about_bad(403, "no")),
    "404 of unknown cause": one_lost(4, 4, "HTTP 404: no", refuses=about_bad(404, "no")),
    "filtered in 200": one_lost(4, 0, "content_filter", bad=completion(EMPTY, "content_filter")),
    "error in 200, too long": one_lost(4, 0, "context", bad=JSONResponse({"error": {"message": TOO_LONG}})),
    # All are refused: the run ends, and says what to check.
    "401": down(1, "HTTP 401: no.*Check the key", refuses=always(401, "no")),
    "402": down(1, "HTTP 402: pay.*Check the account", refuses=always(402, "pay")),
    "403 for all": down(18, "HTTP 403: no.*Check the key's rights", refuses=always(403, "no")),
    "404 for all": down(18, "HTTP 404: no model m.*Check --model and --base-url", refuses=always(404, "no model m")),
    "403 of an account": down(18, "Your account was flagged", refuses=always(403, "Your account was flagged")),
    # Replies of any shape are read where they hold snippets.
    "parts": none_lost(4, bad=completion({"content": [{"type": "text", "text": GOOD_TEXT}]})),
    "parts of strings": none_lost(4, bad=completion({"content": [GOOD_TEXT[:9], GOOD_TEXT[9:]]})),
    "parts with thinking": none_lost(
        4, bad=completion({"content": [{"type": "thinking", "text": "{"}, {"type": "output_text", "text": GOOD_TEXT}]})
    ),
    "an object": none_lost(4, bad=completion({"content": json.loads(GOOD_TEXT)})),
    "reasoning": none_lost(4, bad=completion({"content": None, "reasoning": GOOD_TEXT})),
    "reasoning_content": none_lost(4, bad=completion({"content": "", "reasoning_content": "so\n" + GOOD_TEXT})),
    **{name: none_lost(4, bad=completion(message)) for name, message in ELSEWHERE.items()},
    **{name: none_lost(4, bad=JSONResponse(body)) for name, body in ODD_BODIES.items()},
    **{name: none_lost(4, bad=completion({"content": json.dumps(value)})) for name, value in SNIPPETS.items()},
    "JSON as plain text": none_lost(
        4, bad=Response(json.dumps({"choices": [{"message": {"content": GOOD_TEXT}}]}), media_type="text/plain")
    ),
    "a line of JSON for each snippet": none_lost(
        4, bad=completion({"content": "\n".join(json.dumps({"snippet": line}) for line in LINES)})
    ),
    "elements with attributes": none_lost(
        4, bad=completion({"content": "".join(f'<snippet rank="{n}">{line}</snippet>' for n, line in enumerate(LINES))})
    ),
    "tool call": none_lost(4, bad=completion({**EMPTY, "tool_calls": [{"function": {"arguments": GOOD_TEXT}}]})),
    "usage null": none_lost(4, bad=completion({"content": GOOD_TEXT}, usage=None)),
    "usage odd": none_lost(4, bad=completion({"content": GOOD_TEXT}, usage={"prompt_tokens": "x", "total": 10**30})),
    "usage a list": none_lost(4, bad=completion({"content": GOOD_TEXT}, usage=[1])),
    "finish_reason odd": none_lost(4, bad=completion({"content": GOOD_TEXT}, finish_reason=7)),
    # Those that hold none are asked for again, then quarantined, and so at each rerun.
    "content a number": one_lost(6, 3, "holds no snippets", bad=completion({"content": 7})),
    "content true": one_lost(6, 3, "holds no snippets", bad=completion({"content": True})),
    "content odd parts": one_lost(6, 3, "no snippets", bad=completion({"content": [None, 1, {"text": 5}]})),
    "message null": one_lost(6, 3, "holds no snippets", bad=completion(None)),
    "message a text": one_lost(6, 3, "no snippets: 'hello'", bad=completion("hello")),
    "choices empty": one_lost(6, 3, "unreadable answer", bad=JSONResponse({"choices": []})),
    "choices null": one_lost(6, 3, "unreadable answer", bad=JSONResponse({"choices": None})),
    "a list": one_lost(6, 3, "unreadable answer", bad=JSONResponse([])),
    "HTML": one_lost(6, 3, "unreadable answer", bad=HTMLResponse("<html>proxy</html>")),
    "broken JSON": one_lost(6, 3, "unreadable", bad=Response(b'{"choices": [', media_type="application/json")),
    "error in 200": one_lost(6, 3, "unreadable", bad=JSONResponse({"error": {"message": "overloaded"}})),
    "error in the choice": one_lost(
        6,
        3,
        "the server broke off: 'provider gone'",
        bad=JSONResponse({"choices": [{"error": {"text": "provider gone"}, "finish_reason": "error"}]}),
    ),
    "refusal": one_lost(6, 3, "the model refused: 'I cannot.'", bad=completion({**EMPTY, "refusal": "I cannot."})),
    "empty tool call": one_lost(
        6, 3, "a tool call", bad=completion({**EMPTY, "tool_calls": [{"function": {"arguments": "{}"}}]})
    ),
    "only thinking": one_lost(6, 3, "only its thinking", bad=completion({"content": "", "reasoning": "Let me see"})),
    "LaTeX in prose": one_lost(6, 3, "holds no snippets", bad=completion({"content": r"So \frac{1}{2} in [0, 1]."})),
    "half a surrogate": one_lost(
        6, 3, "not in the trace", bad=completion({"content": '{"snippets": ["\\ud800 no such"]}'})
    ),
    "deep": one_lost(6, 3, "holds no snippets", bad=completion({"content": "[" * 5000 + "]" * 5000})),
    # What the thinking used up is not asked for again as it was.
    "thinking cut": one_lost(
        4,
        1,
        "the thinking used up all 10 completion tokens (finish_reason length). Raise --max-completion-tokens",
        bad=completion({"content": "", "reasoning_content": "Let me see"}, "length"),
    ),
    "thinking cut in the content": one_lost(
        4, 1, "the thinking used up", bad=completion({"content": "<think>Let me see"}, "length")
    ),
    "cut before anything": one_lost(4, 1, "Raise --max-completion-tokens", bad=completion(EMPTY, "length")),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_costs_what_it_must_and_spoils_what_it_must(case, name):
    fault = FAULTS[name]
    endpoint = ScriptedEndpoint(lambda text, call: fault.bad if fault.bad and text == BAD else "good")
    endpoint.refuses = fault.refuses or endpoint.refuses
    run = case(endpoint, count=4 if fault.code != 7 else 20)
    settings = {"concurrency": 1, "max_retries": 1, **fault.settings}

    def ended():
        """Which traces come out, how it ends, and how many requests were made."""
        before = len(endpoint.asked)
        try:
            artifact, _ = run.run(**settings)
        except EndpointError as error:
            return [], error.exit_code, str(error), len(endpoint.asked) - before
        reasons = [line.reason for line in rejected(artifact)]
        out = [trace.id for trace in annotated(artifact)]
        assert all(trace.spans for trace in annotated(artifact))
        return out, 4 if reasons else 0, " ".join(reasons), len(endpoint.asked) - before

    out, code, reason, calls = ended()
    assert (out, code, calls) == (fault.out, fault.code, fault.calls), reason
    if fault.code == 7:
        assert re.search(fault.reason, reason)
    else:
        assert fault.reason in reason
    assert ended()[3] == fault.again


@pytest.mark.parametrize("status", [400, 404, 500])
def test_json_is_not_given_up_for_what_the_first_trace_alone_meets(case, status):
    first = reasoning(0)
    endpoint = ScriptedEndpoint()
    endpoint.refuses = lambda body: (
        refusal(status, "boom") if first in body["messages"][1]["content"] and "response_format" in body else None
    )
    artifact, _ = case(endpoint, count=5).run(concurrency=1, max_retries=0)
    assert len(annotated(artifact)) == 5
    assert ["response_format" in body for body in endpoint.bodies] == [False, True, True, True, True]


@pytest.mark.parametrize("fault", ["reset", "cut"])
def test_a_connection_that_breaks_at_the_first_trace_costs_that_trace_alone(case, fault):
    bad = CutResponse() if fault == "cut" else fault
    run = case(ScriptedEndpoint(lambda text, call: bad if text == reasoning(0) else "good"), count=4)
    artifact, _ = run.run(concurrency=1, max_retries=1)
    assert [trace.id for trace in annotated(artifact)] == ["t1", "t2", "t3"]
    (line,) = rejected(artifact)
    assert "the connection failed" in line.reason
    assert "\n" not in line.reason
    artifact, _ = run.run(concurrency=1, max_retries=1)
    assert len(annotated(artifact)) == 3


def test_a_server_that_breaks_every_connection_ends_the_run(case):
    run = case(ScriptedEndpoint(lambda text, call: "reset"), count=3)
    with pytest.raises(EndpointError, match=r"no call was answered, 3 were lost.*Check the URL and the network"):
        run.run(concurrency=1, max_retries=0)


class CutResponse(Response):
    """Breaks off in the middle of its body."""

    async def __call__(self, scope, receive, send):
        headers = [(b"content-type", b"application/json"), (b"content-length", b"5000")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"choices": [{', "more_body": True})
        scope["extensions"]["srx.transport"]().abort()


HALF = len(BAD) // 2
OVERLONG = {
    "the whole trace": [BAD],
    "the whole trace three times": [BAD] * 3,
    "the whole trace on one line": [BAD.replace("\n", " ")],
    "both halves": [BAD[:HALF], BAD[HALF:]],
}


@pytest.mark.parametrize("name", OVERLONG)
def test_a_reply_of_which_no_snippet_is_left_whole_is_asked_for_again_and_kept_as_a_last_resort(case, name):
    huge = completion({"content": json.dumps({"snippets": OVERLONG[name]})})
    run = case(ScriptedEndpoint(lambda text, call: huge if text == BAD else "good"), count=4)
    artifact, _ = run.run(concurrency=1)
    assert [trace.id for trace in annotated(artifact)] == ALL
    assert all(trace.spans for trace in annotated(artifact))
    assert (rejected(artifact), len(run.endpoint.asked)) == ([], 6)
    run.run(config=AnnotateConfig(annotator="llm", model="m", min_similarity=0.8))
    assert len(run.endpoint.asked) == 6, "it is kept"


def test_after_an_overlong_reply_a_better_one_is_taken(case):
    huge = completion({"content": json.dumps({"snippets": [BAD]})})
    run = case(ScriptedEndpoint(lambda text, call: huge if text == BAD and call == 1 else "good"), count=4)
    artifact, _ = run.run(concurrency=1)
    (trace,) = [trace for trace in annotated(artifact) if trace.id == "t1"]
    assert len(run.endpoint.asked) == 5
    assert {trace.reasoning[span.start : span.end] for span in trace.spans} == set(LINES)


def test_a_snippet_left_whole_beside_a_huge_one_is_enough(case):
    both = completion({"content": json.dumps({"snippets": [BAD, LINES[0]]})})
    run = case(ScriptedEndpoint(lambda text, call: both if text == BAD else "good"), count=4)
    artifact, _ = run.run(concurrency=1)
    assert (len(annotated(artifact)), len(run.endpoint.asked)) == (4, 4)


@pytest.mark.parametrize("message", [TOO_LONG, "Your input was flagged", "bad request", "invalid json in request"])
@pytest.mark.parametrize("status", [400, 403, 422])
def test_the_refusal_of_the_first_trace_changes_nothing_for_the_others(case, status, message):
    first = reasoning(0)
    endpoint = ScriptedEndpoint()
    endpoint.refuses = lambda body: refusal(status, message) if first in body["messages"][1]["content"] else None
    run = case(endpoint, count=5)
    artifact, _ = run.run(concurrency=1)
    assert [trace.id for trace in annotated(artifact)] == ["t1", "t2", "t3", "t4"]
    assert [line.where.rpartition(":")[2] for line in rejected(artifact)] == ["1"]
    assert all("response_format" in body and "temperature" in body for body in endpoint.bodies)


def test_more_traces_than_count_as_a_fault_of_the_endpoint_may_be_too_long(case):
    endpoint = ScriptedEndpoint()
    long = [reasoning(n) for n in range(18)]
    endpoint.refuses = lambda body: (
        refusal(400, TOO_LONG) if body["messages"][1]["content"].partition("# Reasoning\n\n")[2] in long else None
    )
    artifact, _ = case(endpoint, count=20).run(concurrency=2)
    assert [trace.id for trace in annotated(artifact)] == ["t18", "t19"]
    assert len(endpoint.asked) == 20


def test_many_calls_in_flight_at_an_endpoint_without_json_lose_one_each_at_most(case):
    endpoint = ScriptedEndpoint(refuses=without("response_format", 500, "Grammar error"))
    artifact, _ = case(endpoint, count=40).run(concurrency=32, max_retries=0)
    assert len(annotated(artifact)) == 40
    assert len(endpoint.asked) <= 40 + 32


def test_a_snippet_of_the_whole_trace_never_counts_as_done_without_a_span(case):
    whole = completion({"content": json.dumps({"snippets": [BAD]})})
    run = case(ScriptedEndpoint(lambda text, call: whole if text == BAD else "good"), count=4)
    artifact, _ = run.run()
    assert all(trace.spans for trace in annotated(artifact))
    assert len(annotated(artifact)) + len(rejected(artifact)) == 4


@pytest.mark.parametrize("made_up", [False, True])
def test_thousands_of_snippets_are_cut_to_those_that_rank_first(case, made_up):
    lines = hardest_lines(BAD)
    many = [f"this stands nowhere in the trace, {n}" for n in range(5000)] if made_up else lines * 2500
    reply = completion({"content": json.dumps({"snippets": [*lines, *many]})})
    run = case(ScriptedEndpoint(lambda text, call: reply if text == BAD else "good"), count=4)
    artifact, _ = run.run()
    (trace,) = [trace for trace in annotated(artifact) if trace.id == "t1"]
    assert trace.spans
    assert len(trace.unplaced) <= MOST_SNIPPETS


def test_a_trace_too_short_for_a_snippet_is_paid_for_once(case):
    run = case(ScriptedEndpoint(), count=3)
    short = Trace(id="short", problem="1+1?", answer="2", reasoning="1+1=2, so two.", response="2")
    write_atomically(run.folder / "in.jsonl", map(encode, [*traces(3), short]))
    artifact, _ = run.run()
    assert "the trace is too short, it has 14 characters" in rejected(artifact)[0].reason
    asked = len(run.endpoint.asked)
    run.run(config=AnnotateConfig(annotator="llm", model="m", snap="line"))
    assert (asked, len(run.endpoint.asked)) == (6, 6)


def test_a_limit_on_completion_tokens_is_sent_under_the_name_that_the_endpoint_knows(case):
    endpoint = ScriptedEndpoint(refuses=without("max_completion_tokens", 400, LIMIT))
    case(endpoint, count=2).run(concurrency=1, tokens=77)
    assert [body.get("max_completion_tokens") for body in endpoint.asked] == [77, None, None]
    assert [body.get("max_tokens") for body in endpoint.bodies] == [77, 77]


def test_a_kept_reply_of_no_use_is_asked_for_once_more(case):
    run = case(ScriptedEndpoint(), count=2)
    run.run()
    (journal,) = (run.store.root / "replies").glob("*/*.jsonl")
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    lines[0]["snippets"] = []
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    for similarity in (0.8, 0.81, 0.82):
        artifact, _ = run.run(config=AnnotateConfig(annotator="llm", model="m", min_similarity=similarity))
        assert all(trace.spans for trace in annotated(artifact))
    assert len(run.endpoint.asked) == 3


def test_a_budget_holds_where_the_endpoint_does_not_say_what_a_call_costs(case):
    def silent(text, call):
        return completion({"content": json.dumps({"snippets": hardest_lines(text)})}, usage=None)

    run = case(ScriptedEndpoint(silent), count=30)
    artifact, _ = run.run(budget=8000, concurrency=2)
    assert "stopped by --max-tokens-total" in artifact.unfinished
    assert 0 < len(run.endpoint.asked) < 15
