import shutil

import orjson
import pytest

from splitreason_cli.dataset import build, ledger
from splitreason_cli.dataset.build import DROPPED, build_sft, tally_of
from splitreason_cli.dataset.sft import BuildSftConfig, Format
from splitreason_cli.errors import InputError, ModelError, RecordError, UsageError
from splitreason_cli.records.data import Rejected, SftConversation, SftExample
from splitreason_cli.store.artifacts import Store
from splitreason_cli.store.embedded import EMBEDDED_MODELS
from splitreason_cli.store.jsonl import decode, read_lines
from splitreason_cli.store.source import Source
from tests import chat_templates


def trace(number, problem=None, **changes):
    return {
        "kind": "annotated_trace",
        "id": str(number),
        "problem": problem or f"problem {number}",
        "answer": "4",
        "reasoning": "one two",
        "annotator": "x",
        "spans": [{"start": 4, "end": 7, "score": 1.0}],
        **changes,
    }


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Build from traces; returns the artifact, its records, and whether it was there before."""
    monkeypatch.chdir(tmp_path)
    store = Store(tmp_path / "store")

    def from_traces(traces, **config):
        (tmp_path / "in.jsonl").write_bytes(b"".join(orjson.dumps(value) + b"\n" for value in traces))
        settings = BuildSftConfig(**config)
        artifact, cached = build_sft(Source.open("in.jsonl", store), settings, store)
        cls = SftConversation if settings.format == Format.MESSAGES else SftExample
        return artifact, [decode(line, cls.from_dict) for line in read_lines(artifact.records)], cached

    return from_traces


def dropped(artifact):
    return [decode(line, Rejected.from_dict) for line in read_lines(artifact.path / DROPPED)]


def test_every_trace_becomes_a_record_of_the_chosen_kind(run):
    for layout in Format:
        artifact, records, _ = run([trace(n) for n in range(600)], format=layout)
        assert [record.id for record in records] == [str(n) for n in range(600)]
        assert artifact.info.records == tally_of(artifact).kept == 600
        assert dropped(artifact) == []


def test_what_is_dropped_is_listed_with_its_line_and_counted(run, tmp_path):
    (tmp_path / "bench.jsonl").write_bytes(b'{"id": 60, "problem": "Leaked it is"}\n')
    traces = [trace(0, "p"), trace(1, " P "), trace(2, "leaked it is, I fear"), trace(3)]
    artifact, records, _ = run(traces, decontaminate=("bench.jsonl",))
    assert [record.id for record in records] == ["0", "3"]
    assert [(entry.where, entry.reason) for entry in dropped(artifact)] == [
        ("in.jsonl:2", "the problem is that of an earlier trace"),
        ("in.jsonl:3", "the problem shares all the words 'leaked it is' with bench.jsonl:1"),
    ]
    assert orjson.loads(dropped(artifact)[1].line) == traces[2]
    assert tally_of(artifact).describe_dropped(None) == "1 repeated problem, 1 found in bench.jsonl"


def test_quarantined_lines_are_counted_but_not_dropped(run):
    artifact, records, _ = run([trace(0), trace(1, spans=[{"start": 0, "end": 99, "score": 1.0}])])
    assert len(records) == tally_of(artifact).quarantined == 1
    assert dropped(artifact) == []


def test_a_malformed_trace_does_not_stand_for_its_problem(run):
    _, records, _ = run([trace(0, "p", reasoning="a <bigmodel>"), trace(1, "p")])
    assert [record.id for record in records] == ["1"]


def test_tokens_are_counted_and_limited(run):
    _, records, _ = run([trace(0), trace(1)], tokenizer="mini-small")
    longest = max(record.tokens for record in records)
    traces = [trace(0), trace(1), trace(2, response="long " * 50)]
    artifact, kept, _ = run(traces, tokenizer="mini-small", max_tokens=longest)
    assert kept == records
    assert dropped(artifact)[0].reason.endswith(f"tokens, more than {longest}")
    _, kept, _ = run([trace(0), trace(1)], tokenizer="mini-small", max_tokens=longest - 1)
    assert len(kept) < 2


@pytest.fixture
def tokenizer(tmp_path):
    """Makes a folder of the embedded tokenizer with another template."""

    def make(template):
        folder = tmp_path / "tokenizer"
        folder.mkdir(exist_ok=True)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(EMBEDDED_MODELS["mini-small"] / name, folder)
        (folder / "chat_template.jinja").write_text(template)
        return str(folder)

    return make


@pytest.mark.parametrize(
    ("template", "config", "hint"),
    [
        (chat_templates.OPENS_NONE, {}, "neither .* Add --think"),
        (chat_templates.OPENS, {"think": True}, "opened 2 times .* Leave out --think"),
        (chat_templates.OPENS_TURNS, {"format": Format.MESSAGES}, "opened 2 times"),
    ],
)
def test_a_template_that_does_not_fit_the_completions_stops_the_work(run, tokenizer, template, config, hint):
    with pytest.raises(UsageError, match=hint):
        run([trace(0)], tokenizer=tokenizer(template), **config)


@pytest.mark.parametrize("template", [chat_templates.FAILS, chat_templates.MISUSED, chat_templates.LEAVES_OUT])
def test_a_template_that_fails_stops_the_work(run, tokenizer, template):
    with pytest.raises(ModelError, match="the chat template"):
        run([trace(0)], tokenizer=tokenizer(template))


def test_traces_without_an_answer_are_dropped_listed_and_counted(run):
    artifact, records, _ = run([trace(0, answer=""), trace(1, response="\\boxed{}"), trace(2, answer="", response="4")])
    assert [record.id for record in records] == ["2"]
    assert [entry.reason for entry in dropped(artifact)] == [
        "there is neither an answer nor a response",
        "the response ends in an empty \\boxed{}",
    ]
    assert tally_of(artifact).describe_dropped(None) == "2 without an answer"


def test_the_work_is_done_anew_only_if_a_benchmark_or_a_setting_changes(run, tmp_path):
    bench = tmp_path / "bench.jsonl"
    bench.write_bytes(b'{"problem": "x"}\n')
    config = {"decontaminate": ("bench.jsonl",)}
    assert [run([trace(0)], **config)[2] for _ in range(2)] == [False, True]
    assert not run([trace(0)], **config, ngram=5)[2]
    bench.write_bytes(b'{"problem": "problem 0"}\n')
    artifact, records, cached = run([trace(0)], **config)
    assert (cached, records) == (False, [])
    assert set(artifact.info.inputs) == {"in", "decontaminate:bench.jsonl"}


class Stop(Exception):  # noqa: N818 - the run is stopped, nothing has failed
    """Ends a run in the middle, as a kill does."""


@pytest.fixture
def mixed(tmp_path, monkeypatch):
    """A file of good, repeated, leaked, overlong, malformed and broken lines; blocks are short, all are checkpoints."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(build, "BLOCK_LINES", 5)
    monkeypatch.setattr(ledger, "SECONDS", 0.0)
    (tmp_path / "bench.jsonl").write_bytes(b'{"problem": "Leaked it is"}\n')
    rows = []
    for n in range(0, 60, 6):
        rows += [trace(n), trace(n + 1, f"PROBLEM  {n}"), trace(n + 2, f"leaked it is {n}"), trace(n + 3, spans=3)]
        rows += [trace(n + 4, response="long " * 60), trace(n + 5, f"problem {n + 4}")]
    lines = [orjson.dumps(row) + b"\n" for row in rows]
    lines[17:17] = [b"\n", b"{\n"]
    (tmp_path / "in.jsonl").write_bytes(b"".join(lines))
    return BuildSftConfig(decontaminate=("bench.jsonl",), tokenizer="mini-small", max_tokens=150)


def made(store, config, **watchers):
    artifact, _ = build.build_sft(Source.open("in.jsonl", store), config, store, **watchers)
    return {path.name: path.read_bytes() for path in artifact.path.iterdir() if path.name != "meta.json"}


@pytest.mark.parametrize("last", [1, 2, 5, 6, 9, 10, 13, 19])
def test_a_run_that_is_stopped_anywhere_goes_on_to_the_same_result(mixed, tmp_path, last):
    whole = made(Store(tmp_path / "whole"), mixed)
    assert whole.keys() == {"dropped.jsonl", "records.jsonl", "rejected.jsonl", "tally.json"}
    assert whole["rejected.jsonl"].count(b"\n") == 11

    seen = []

    def stop(line):
        seen.append(line)
        if len(seen) == last:
            raise Stop

    store, lines, done = Store(tmp_path / "store"), [], []
    with pytest.raises(Stop):
        made(store, mixed, on_record=stop)
    assert made(store, mixed, on_record=lines.append, on_progress=done.append) == whole
    assert b"".join(lines) == whole["records.jsonl"]
    assert done[-1] == 61
    # A block of five lines that was written down is not done again.
    assert len(done) == 13 - sum(block_of(line, whole["records.jsonl"]) for line in seen[-1:])


@pytest.mark.parametrize("last", [1, 4, 7, 11])
def test_ids_that_repeat_are_numbered_alike_however_often_the_work_is_stopped(mixed, tmp_path, last):
    rows = [trace(0, f"problem {n}", id=("a", "b", "a#2")[n % 3]) for n in range(13)]
    (tmp_path / "in.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    whole = made(Store(tmp_path / "whole"), BuildSftConfig())
    ids = [orjson.loads(line)["id"] for line in whole["records.jsonl"].splitlines()]
    assert ids[:5] == ["a", "b", "a#2", "a#3", "b#2"]
    assert len(set(ids)) == 13
    store = Store(tmp_path / "store")
    with pytest.raises(Stop):
        made(store, BuildSftConfig(), on_progress=lambda done: stop_at(done, last))
    assert made(store, BuildSftConfig()) == whole


def block_of(line, records):
    """The number of the block, counted from 0, in which a record came about."""
    number = int(orjson.loads(line)["id"])
    # The broken line stands before the trace that was the 18th, the empty one counts for nothing.
    return (number + (number >= 17)) // 5


def test_a_stopped_run_that_goes_on_strictly_names_the_line_that_it_had_quarantined(mixed, tmp_path):
    store, seen = Store(tmp_path / "store"), []

    def stop(done):
        seen.append(done)
        if done > 30:
            raise Stop

    with pytest.raises(Stop):
        made(store, mixed, on_progress=stop)
    with pytest.raises(RecordError, match=r"in.jsonl:4: field 'spans'"):
        made(store, mixed, strict=True)
    assert made(store, mixed) == made(Store(tmp_path / "whole"), mixed)


def test_what_a_kill_tore_or_left_behind_the_checkpoint_is_cut_off(mixed, tmp_path):
    store = Store(tmp_path / "store")
    with pytest.raises(Stop):
        made(store, mixed, on_progress=lambda done: stop_at(done, 25))
    (work,) = (path for path in (tmp_path / "store" / "work").iterdir() if path.is_dir())
    for name in ("records.jsonl", "problems.jsonl", "dropped.jsonl", "rejected.jsonl"):
        with (work / name).open("ab") as stream:
            stream.write(b'{"id": "beyond"}\n{"torn')
    assert made(store, mixed) == made(Store(tmp_path / "whole"), mixed)


@pytest.mark.parametrize("left", [b"", b"{", b'{"lines": "many"}', None])
def test_without_a_readable_checkpoint_all_is_done_again(mixed, tmp_path, left):
    store = Store(tmp_path / "store")
    with pytest.raises(Stop):
        made(store, mixed, on_progress=lambda done: stop_at(done, 25))
    (checkpoint,) = (tmp_path / "store" / "work").glob("*/checkpoint.json")
    if left is None:
        checkpoint.unlink()
    else:
        checkpoint.write_bytes(left)
    done = []
    assert made(store, mixed, on_progress=done.append) == made(Store(tmp_path / "whole"), mixed)
    assert done[0] == 5


def stop_at(done, lines):
    if done >= lines:
        raise Stop


def test_nothing_read_is_an_error(tmp_path, run):
    with pytest.raises(InputError, match=r"in.jsonl: the input is empty"):
        run([])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"problem": "x"}\n{"frage": "y"}\n', "bench.jsonl:2: no column holds the problem; the row has frage"),
        (b'{"problem": 3}\n', "bench.jsonl:1: field 'problem': expected a text, got int"),
        (b"{\n", "bench.jsonl:1: broken JSON"),
        (b"[]\n", "bench.jsonl:1: a row is a JSON object, got list"),
        (b"", "bench.jsonl: the file is empty"),
        (None, "bench.jsonl: no such file"),
    ],
)
def test_a_benchmark_that_cannot_be_read_stops_the_work(run, tmp_path, content, message):
    if content is not None:
        (tmp_path / "bench.jsonl").write_bytes(content)
    with pytest.raises(InputError) as caught:
        run([trace(0)], decontaminate=("bench.jsonl",))
    assert str(caught.value).startswith(message)
