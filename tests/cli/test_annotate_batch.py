"""srx annotate by way of a batch API: questions out, replies in, nothing paid twice."""

import json

import orjson
import pytest

from splitreason_cli.annotating import batches
from splitreason_cli.annotating.batches import write_requests
from splitreason_cli.records.data import Trace
from splitreason_cli.store.jsonl import encode, write_atomically
from tests.scripted_endpoint import ScriptedEndpoint, hardest_lines, serving

COUNT = 6


def reasoning(number):
    return "\n".join(f"line {line} of trace {number} multiplies {number} by {line * line}" for line in range(12))


@pytest.fixture
def source(tmp_path):
    traces = [Trace(id=f"t{n}", problem=f"P{n}", answer="1", reasoning=reasoning(n)) for n in range(COUNT)]
    write_atomically(tmp_path / "traces.jsonl", map(encode, traces))
    return tmp_path


@pytest.fixture
def annotate(srx, source):
    def run(*more, model="m"):
        return srx("annotate", "--in", "traces.jsonl", "--annotator", "llm", "--model", model, *more)

    return run


def questions(path):
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def reasoning_of(question):
    return question["body"]["messages"][1]["content"].partition("# Reasoning\n\n")[2]


def reply(question, content=None, **body):
    """One line of a batch's output file."""
    if content is None:
        content = json.dumps({"snippets": hardest_lines(reasoning_of(question))})
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 100, "completion_tokens": 10}
    body = {"id": f"chatcmpl-{question['custom_id']}", "choices": [choice], "usage": usage, **body}
    return line(question["custom_id"], {"status_code": 200, "request_id": "r", "body": body})


def line(custom_id, response, error=None):
    return {"id": "batch_req_1", "custom_id": custom_id, "response": response, "error": error}


def save(path, lines):
    path.write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in lines))


def ids(output):
    return [orjson.loads(one)["id"] for one in output.splitlines()]


def test_questions_go_out_without_a_server_and_replies_come_in_once(srx, annotate, source):
    out = annotate("--batch-out", "q.jsonl", "--max-completion-tokens", "300")
    assert (out.returncode, out.stdout) == (0, b""), out.stderr
    assert b"6 questions -> q.jsonl" in out.stderr
    asked = questions(source / "q.jsonl")
    assert {(one["method"], one["url"]) for one in asked} == {("POST", "/v1/chat/completions")}
    assert len({one["custom_id"] for one in asked}) == COUNT
    assert all(0 < len(one["custom_id"]) <= 64 for one in asked)
    body = asked[0]["body"]
    assert (body["model"], body["temperature"], body["max_completion_tokens"]) == ("m", 0, 300)
    assert body["response_format"]["type"] == "json_schema"
    # Batches come back in any order.
    save(source / "a.jsonl", map(reply, reversed(asked)))
    first = annotate("--batch-in", "a.jsonl")
    assert first.returncode == 0, first.stderr
    assert ids(first.stdout) == [f"t{n}" for n in range(COUNT)]
    assert b"600 prompt and 60 completion tokens" in first.stderr
    with serving(ScriptedEndpoint()) as url:
        again = annotate("--batch-in", "a.jsonl")
        live = annotate("--base-url", url, "--snap", "line")
    assert again.stdout == first.stdout
    assert live.returncode == 0
    assert annotate("--batch-out", "more.jsonl").stderr.count(b"0 questions") == 1
    assert (source / "more.jsonl").read_bytes() == b""


def test_the_same_questions_have_the_same_names_whoever_writes_them(annotate, source):
    annotate("--batch-out", "one.jsonl")
    assert annotate("--batch-out", "-").stdout == (source / "one.jsonl").read_bytes()
    other = questions(source / "one.jsonl")
    annotate("--batch-out", "two.jsonl", model="n")
    assert not {q["custom_id"] for q in other} & {q["custom_id"] for q in questions(source / "two.jsonl")}


def test_faults_of_a_batch_stay_with_their_traces_and_only_what_is_left_is_asked_again(annotate, source):
    annotate("--batch-out", "q.jsonl")
    asked = questions(source / "q.jsonl")
    too_long = {"error": {"message": "maximum context length is 9 tokens", "code": "context_length_exceeded"}}
    lines = [
        reply(asked[0]),
        line(asked[1]["custom_id"], {"status_code": 400, "body": too_long}),
        line(
            asked[2]["custom_id"], None, {"code": "batch_expired", "message": "This request was not executed in time"}
        ),
        reply(asked[3], content="I am sorry."),
        reply(asked[4], content=[{"type": "text", "text": '{"snippets": ["' + hardest_lines(reasoning(4))[0] + '"]}'}]),
        {**reply(asked[0]), "custom_id": "somebody-else"},
        {"no": "reply"},
    ]
    save(source / "a.jsonl", lines)
    done = annotate("--batch-in", "a.jsonl", "--out", "out.jsonl")
    assert done.returncode == 4, done.stderr
    assert b"1 lines are no replies of a batch" in done.stderr
    assert b"1 replies have an unknown custom_id" in done.stderr
    assert b"a.jsonl: no reply to 1 traces (t5). Ask with --base-url, or by another --batch-out" in done.stderr
    assert ids((source / "out.jsonl").read_bytes()) == ["t0", "t4"]
    reasons = {orjson.loads(one["line"])["id"]: one["reason"] for one in questions(source / "out.jsonl.rejected.jsonl")}
    assert sorted(reasons) == ["t1", "t2", "t3", "t5"]
    assert "maximum context length is 9 tokens" in reasons["t1"]
    assert "not executed in time" in reasons["t2"]
    assert "holds no snippets: 'I am sorry.'" in reasons["t3"]
    assert "no reply to this trace in a.jsonl" in reasons["t5"]
    assert b"300 prompt and 30 completion tokens" in done.stderr
    annotate("--batch-out", "rest.jsonl")
    left = questions(source / "rest.jsonl")
    assert [reasoning_of(one) for one in left] == [reasoning(n) for n in (2, 3, 5)]
    assert left[1]["custom_id"] != asked[3]["custom_id"], "the second attempt has a name of its own"
    assert left[1]["body"]["temperature"] == 0.3
    save(source / "b.jsonl", [reply(one) for one in left])
    both = annotate("--batch-in", "a.jsonl", "--batch-in", "b.jsonl")
    assert ids(both.stdout) == ["t0", "t2", "t3", "t4", "t5"]
    assert b"600 prompt and 60 completion tokens" in both.stderr, "each reply is charged once"


def test_what_a_batch_has_not_answered_can_be_asked_live(annotate, source):
    annotate("--batch-out", "q.jsonl")
    save(source / "a.jsonl", [reply(one) for one in questions(source / "q.jsonl")[:4]])
    endpoint = ScriptedEndpoint()
    with serving(endpoint) as url:
        done = annotate("--batch-in", "a.jsonl", "--base-url", url)
    assert done.returncode == 0, done.stderr
    assert ids(done.stdout) == [f"t{n}" for n in range(COUNT)]
    assert endpoint.calls == {reasoning(4): 1, reasoning(5): 1}


def test_an_option_that_the_batch_refused_is_left_out_of_the_next(annotate, source):
    annotate("--batch-out", "q.jsonl")
    error = {"error": {"message": "Unsupported value: 'temperature' does not support 0 with this model."}}
    refused = [line(one["custom_id"], {"status_code": 400, "body": error}) for one in questions(source / "q.jsonl")]
    save(source / "a.jsonl", refused)
    done = annotate("--batch-in", "a.jsonl", "--out", "out.jsonl")
    assert done.returncode == 4
    annotate("--batch-out", "rest.jsonl")
    bodies = [one["body"] for one in questions(source / "rest.jsonl")]
    assert len(bodies) == COUNT
    assert all("temperature" not in body and "response_format" in body for body in bodies)


def test_batches_and_files_of_other_questions_are_told_apart(annotate, source):
    annotate("--batch-out", "q.jsonl")
    save(source / "a.jsonl", [reply(one) for one in questions(source / "q.jsonl")])
    other = annotate("--batch-in", "a.jsonl", model="n")
    assert other.returncode == 4
    assert b"6 replies have an unknown custom_id" in other.stderr
    part = annotate("--batch-in", "a.jsonl", "--limit", "2")
    assert part.returncode == 0
    assert b"4 replies are about traces that are not in this input" in part.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--batch-out", "q.jsonl", "--batch-in", "a.jsonl"], 2, "--batch-in and --batch-out are two runs"),
        (["--batch-in", "none.jsonl"], 3, "none.jsonl: no such file"),
        (["--batch-in", "traces.jsonl"], 3, "traces.jsonl: no replies of a batch"),
    ],
)
def test_mistakes_are_one_line_with_a_remedy(annotate, arguments, code, message):
    done = annotate(*arguments)
    assert done.returncode == code, done.stderr
    assert message in done.stderr.decode()
    assert b"Traceback" not in done.stderr


def test_a_batch_belongs_to_a_chat_model(srx, source):
    done = srx("annotate", "--in", "traces.jsonl", "--batch-out", "q.jsonl")
    assert done.returncode == 2
    assert b"--batch-out belongs to another annotator. Add --annotator llm" in done.stderr


def test_a_file_holds_as_much_as_the_service_takes(tmp_path, monkeypatch):
    lines = [b"%d%s\n" % (n, b"x" * n) for n in range(10)]
    assert write_requests(tmp_path / "q.jsonl", lines) == [tmp_path / "q.jsonl"]
    for name, most, counts in [("MOST_REQUESTS", 4, [4, 4, 2]), ("MOST_BYTES", 30, [6, 3, 1])]:
        with monkeypatch.context() as limits:
            limits.setattr(batches, name, most)
            files = write_requests(tmp_path / "r.jsonl", lines)
        assert [file.name for file in files] == ["r.jsonl", "r-2.jsonl", "r-3.jsonl"]
        assert [len(file.read_bytes().splitlines()) for file in files] == counts
        assert b"".join(file.read_bytes() for file in files) == b"".join(lines)
    assert write_requests(tmp_path / "none.jsonl", []) == [tmp_path / "none.jsonl"]
    with monkeypatch.context() as limits:
        limits.setattr(batches, "MOST_BYTES", 1)
        assert len(write_requests(tmp_path / "s.jsonl", lines)) == len(lines)
