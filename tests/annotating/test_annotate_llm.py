"""annotate through a chat endpoint: what is asked, what is paid, and what happens when the endpoint misbehaves."""

import itertools
from collections import Counter

import orjson
import pytest

from splitreason_cli.annotating.annotate import AnnotateConfig
from splitreason_cli.annotating.annotators.llm import TEMPERATURES
from splitreason_cli.errors import EndpointError, UsageError
from splitreason_cli.store.artifacts import Store
from splitreason_cli.store.jsonl import encode, write_atomically
from tests.annotating.conftest import annotated, reasoning, rejected, traces
from tests.older_code import NOTE, older_code
from tests.scripted_endpoint import FAULTS, ScriptedEndpoint, faulty, hardest_lines


def shortly(fault):
    """No fault but the time-out needs a limit that could end."""
    return {"timeout_seconds": 2.0} if fault == "time-out" else {}


def marked(trace):
    return [trace.reasoning[span.start : span.end] for span in trace.spans]


def test_snippets_become_spans_of_untouched_traces_in_the_order_of_the_input(case):
    run = case(ScriptedEndpoint())
    artifact, cached = run.run()
    found = annotated(artifact)
    assert not cached
    assert [(t.id, t.reasoning, t.response) for t in found] == [(t.id, t.reasoning, t.response) for t in traces(20)]
    for trace in found:
        lines = set(itertools.chain(*(span.split("\n") for span in marked(trace))))
        assert lines <= set(hardest_lines(trace.reasoning))
        assert trace.spans
        assert trace.annotator == "llm:m"
    assert run.endpoint.peak_in_flight <= 8


def test_the_first_question_is_greedy_and_forces_json(case):
    run = case(ScriptedEndpoint(), count=1)
    run.run()
    (body,) = run.endpoint.bodies
    assert body["model"] == "m"
    assert body["temperature"] == 0
    assert body["response_format"]["json_schema"]["schema"]["required"] == ["snippets"]


def test_an_endpoint_without_response_format_is_asked_for_delimiters(case):
    plain = case(ScriptedEndpoint(supports_json=False))
    artifact, _ = plain.run()
    assert len(annotated(artifact)) == 20
    assert all("<snippet>" in body["messages"][0]["content"] for body in plain.endpoint.bodies)
    with pytest.raises(EndpointError, match="HTTP 400: This response_format type is unavailable now"):
        plain.run(response_format="json_schema", config=AnnotateConfig(annotator="llm", model="n"))


@pytest.mark.parametrize("fault", ["truncated", "empty", "invented", "translated"])
def test_a_useless_reply_is_asked_for_again_at_higher_temperatures(case, fault):
    run = case(ScriptedEndpoint(lambda reasoning, call: fault if call < 3 else "good"), count=3)
    artifact, _ = run.run()
    assert len(annotated(artifact)) == 3
    asked = Counter((body["messages"][1]["content"], body["temperature"]) for body in run.endpoint.bodies)
    assert Counter(temperature for _, temperature in asked.elements()) == dict.fromkeys(TEMPERATURES, 3)


@pytest.mark.parametrize("fault", ["429", "500", "reset", "time-out"])
def test_a_failed_call_is_repeated_as_it_was(case, fault):
    run = case(ScriptedEndpoint(lambda reasoning, call: fault if call == 1 else "good"), count=3)
    artifact, _ = run.run(**shortly(fault))
    assert len(annotated(artifact)) == 3
    assert {body["temperature"] for body in run.endpoint.bodies} == {0}
    if fault == "time-out":
        # On a busy machine a good answer may be late as well.
        assert min(run.endpoint.calls.values()) >= 2
    else:
        assert set(run.endpoint.calls.values()) == {2}


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("429", "HTTP 429: slow down"),
        ("500", "HTTP 500: out of order"),
        ("reset", "the connection failed"),
        ("time-out", "no answer within 2 s"),
        ("empty", "the reply holds no snippets: "),
        ("invented", "1 of 1 snippets in the reply are not in the trace (after 3 attempts)"),
        ("translated", "1 of 1 snippets in the reply are not in the trace (after 3 attempts)"),
    ],
)
def test_a_trace_that_always_fails_is_quarantined_with_the_reason_and_retried_by_a_rerun(case, fault, reason):
    bad = reasoning(1)
    broken = [True]
    run = case(ScriptedEndpoint(lambda text, call: fault if broken[0] and text == bad else "good"), count=4)
    artifact, _ = run.run(max_retries=1, **shortly(fault))
    assert [trace.id for trace in annotated(artifact)] == ["t0", "t2", "t3"]
    (line,) = rejected(artifact)
    assert line.where.endswith("in.jsonl:2")
    assert line.reason.startswith(reason)
    assert "traces that could not be annotated: 1" in artifact.unfinished
    assert run.at.quarantined == 1
    before, broken[0] = run.endpoint.calls.copy(), False
    artifact, cached = run.run(max_retries=1)
    assert run.endpoint.calls - before == {bad: 1}
    assert ([t.id for t in annotated(artifact)], artifact.unfinished, cached) == (["t0", "t1", "t2", "t3"], "", False)
    assert rejected(artifact) == []


def test_with_a_fifth_of_the_calls_failing_no_trace_is_lost_or_doubled_and_reruns_only_retry(case):
    run = case(ScriptedEndpoint(faulty(0.2)), count=120)
    artifact, _ = run.run(max_retries=1, concurrency=16, timeout_seconds=3.0)
    first_calls = sum(run.endpoint.calls.values())
    kept = {trace.id: trace for trace in annotated(artifact)}
    failed = [orjson.loads(line.line)["id"] for line in rejected(artifact)]
    assert sorted([*kept, *failed]) == sorted(trace.id for trace in traces(120))
    assert all(line.reason for line in rejected(artifact))
    assert {fault for text, n in run.endpoint.calls.items() for fault in [faulty(0.2)(text, n)]} <= {"good", *FAULTS}
    before = run.endpoint.calls.copy()
    again, _ = run.run(max_retries=1, concurrency=16, timeout_seconds=3.0)
    retried = set(run.endpoint.calls - before)
    assert retried == {trace.reasoning for trace in traces(120) if trace.id in failed}
    assert kept.items() <= {trace.id: trace for trace in annotated(again)}.items()
    assert first_calls >= 120


def test_a_rerun_asks_nothing_not_even_with_other_alignment(case):
    run = case(ScriptedEndpoint())
    run.run()
    paid = sum(run.endpoint.calls.values())
    assert run.run()[1]
    lines, cached = run.run(config=AnnotateConfig(annotator="llm", model="m", snap="line"))
    assert not cached
    assert len(annotated(lines)) == 20
    assert sum(run.endpoint.calls.values()) == paid == 20


def test_another_model_or_fraction_is_asked_anew(case):
    run = case(ScriptedEndpoint(), count=2)
    for config in (
        AnnotateConfig(annotator="llm", model="m"),
        AnnotateConfig(annotator="llm", model="n"),
        AnnotateConfig(annotator="llm", model="m", fraction=0.15),
    ):
        run.run(config=config, model=config.model)
    assert set(run.endpoint.calls.values()) == {3}


def test_shards_together_give_what_one_run_gives_and_pay_once(case):
    run = case(ScriptedEndpoint(), count=30)
    parts = [annotated(run.run(config=AnnotateConfig(annotator="llm", model="m", shard=f"{i}/4"))[0]) for i in range(4)]
    assert all(0 < len(part) < 30 for part in parts)
    whole = annotated(run.run()[0])
    assert sorted(itertools.chain(*parts), key=lambda t: t.id) == sorted(whole, key=lambda t: t.id)


def test_a_token_budget_stops_cleanly_and_a_higher_one_goes_on(case):
    run = case(ScriptedEndpoint(), count=30)
    artifact, _ = run.run(budget=4000, concurrency=2)
    spent = run.at.prompt_tokens + run.at.completion_tokens
    done = [trace.id for trace in annotated(artifact)]
    assert "stopped by --max-tokens-total" in artifact.unfinished
    assert 2000 < spent <= 4000
    assert f"{spent:,} tokens are spent" in artifact.unfinished
    assert done == [trace.id for trace in traces(30)][: len(done)]
    assert 0 < len(done) < 30
    calls = sum(run.endpoint.calls.values())
    assert run.run(budget=4000, concurrency=2)[0].unfinished
    # Without others in flight one more may have fitted in.
    assert sum(run.endpoint.calls.values()) <= calls + 1
    assert run.at.prompt_tokens + run.at.completion_tokens <= 4000
    artifact, _ = run.run(budget=10**6, concurrency=2)
    assert (len(annotated(artifact)), artifact.unfinished) == (30, "")
    assert set(run.endpoint.calls.values()) == {1}


def test_after_an_upgrade_an_interrupted_run_pays_for_nothing_again_and_says_one_line(case, monkeypatch):
    run = case(ScriptedEndpoint(), count=30)
    with monkeypatch.context() as before:
        before.setattr("splitreason_cli.annotating.annotate.code_of", older_code)
        cut, _ = run.run(budget=4000, concurrency=2)
    paid, done = len(run.endpoint.calls), len(annotated(cut))
    spent = run.at.prompt_tokens
    notes = []
    run.store = Store(run.store.root, notes.append)
    artifact, _ = run.run(budget=10**6, concurrency=2)
    assert 0 < paid == done < 30
    assert set(run.endpoint.calls.values()) == {1}
    assert run.at.prompt_tokens > spent, "what both versions spent counts together"
    assert notes == [NOTE]
    assert [code.digest for code in artifact.info.begun] == [cut.info.code]


def test_the_same_id_twice_gets_a_number(case):
    run = case(ScriptedEndpoint(), count=3)
    write_atomically(run.folder / "in.jsonl", map(encode, [*traces(3), traces(1)[0]]))
    artifact, _ = run.run(concurrency=1)
    assert [trace.id for trace in annotated(artifact)] == ["t0", "t1", "t2", "t0#2"]
    assert rejected(artifact) == []


def test_a_server_that_is_not_there_stops_the_run_at_once(case):
    run = case(ScriptedEndpoint(), count=200)
    run.url = "http://127.0.0.1:9/v1"
    with pytest.raises(EndpointError, match=r"http://127.0.0.1:9/v1: cannot connect"):
        run.run(max_retries=0)


def test_a_password_in_the_address_is_refused_without_repeating_it(case):
    run = case(ScriptedEndpoint(), count=1)
    run.url = "http://user:secret@127.0.0.1:9/v1"
    with pytest.raises(UsageError, match="holds a password") as caught:
        run.run()
    assert "secret" not in str(caught.value)


def test_an_endpoint_that_goes_down_stops_the_run_and_keeps_what_was_paid(case):
    answered = itertools.count(1)
    down = [True]
    run = case(ScriptedEndpoint(lambda text, call: "500" if down[0] and next(answered) > 50 else "good"), count=200)
    with pytest.raises(EndpointError, match="16 calls in a row failed, the last with: HTTP 500"):
        run.run(max_retries=0)
    assert sum(run.endpoint.calls.values()) < 100
    down[0] = False
    before = run.endpoint.calls.copy()
    artifact, _ = run.run(max_retries=0)
    assert len(annotated(artifact)) == 200
    assert sum((run.endpoint.calls - before).values()) == 150


def test_a_key_is_sent_and_never_shown(case, monkeypatch, store, capfd):
    monkeypatch.setenv("MY_KEY", "sk-very-secret")
    run = case(ScriptedEndpoint(key="sk-very-secret"), count=3)
    artifact, _ = run.run(api_key_env="MY_KEY")
    assert len(annotated(artifact)) == 3
    monkeypatch.setenv("MY_KEY", "sk-wrong-secret")
    with pytest.raises(EndpointError, match=r"HTTP 401: Incorrect API key.*Check the key") as caught:
        run.run(api_key_env="MY_KEY", config=AnnotateConfig(annotator="llm", model="n"))
    files = [path.read_bytes() for path in store.root.rglob("*") if path.is_file()]
    assert files
    assert not any(
        b"secret" in text for text in [str(caught.value).encode(), *files, *map(str.encode, capfd.readouterr())]
    )
    with pytest.raises(UsageError, match="the environment variable NO_KEY is empty or not set"):
        run.run(api_key_env="NO_KEY", config=AnnotateConfig(annotator="llm", model="o"))


def test_without_a_named_variable_no_key_leaves_this_machine(case, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    run = case(ScriptedEndpoint(key="EMPTY"), count=1)
    assert len(annotated(run.run()[0])) == 1
