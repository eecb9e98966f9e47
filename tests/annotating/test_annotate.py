import itertools

import orjson
import pytest

from splitreason_cli.annotating.annotate import AnnotateConfig, AnnotateWatcher, annotate
from splitreason_cli.annotating.annotators.named import ANNOTATORS, check_flags
from splitreason_cli.annotating.annotators.surprisal import hard_lines
from splitreason_cli.annotating.cap import keep_hardest
from splitreason_cli.annotating.tally import AnnotationTally
from splitreason_cli.errors import UsageError
from splitreason_cli.records import markup
from splitreason_cli.records.data import AnnotatedTrace, Rejected, Trace
from splitreason_cli.store.artifacts import Store
from splitreason_cli.store.embedded import MINI_TRACES
from splitreason_cli.store.jsonl import decode, encode, read_lines, write_atomically
from splitreason_cli.store.source import Source
from splitreason_cli.tasks import mini
from tests.older_code import older_code
from tests.plugin_package.srx_example import Numbers


def traces(count):
    return [decode(line, Trace.from_dict) for line in itertools.islice(read_lines(MINI_TRACES), count)]


def annotated(artifact):
    return [decode(line, AnnotatedTrace.from_dict) for line in read_lines(artifact.records)]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def source(tmp_path, store):
    write_atomically(tmp_path / "in.jsonl", map(encode, traces(200)))
    return Source.open(str(tmp_path / "in.jsonl"), store)


def test_surprisal_finds_the_lines_the_small_model_was_not_taught(source, store):
    found, _ = annotate(source, AnnotateConfig(), store)
    marked = wanted = hit = 0
    for trace in annotated(found):
        spans = {(span.start, span.end) for span in trace.spans}
        oracle = set(mini.hard_spans(trace.reasoning))
        marked, wanted, hit = marked + len(spans), wanted + len(oracle), hit + len(spans & oracle)
    assert hit / marked >= 0.85
    assert hit / wanted >= 0.85


def test_the_reasoning_and_foreign_fields_are_untouched(tmp_path, store):
    record = traces(1)[0].to_dict()
    write_atomically(
        tmp_path / "x.jsonl", iter([encode(Trace.from_dict({**record, "uuid": "u", "nested": {"a": [1]}}))])
    )
    found, _ = annotate(Source.open(str(tmp_path / "x.jsonl"), store), AnnotateConfig(), store)
    result = annotated(found)[0]
    assert result.reasoning == record["reasoning"]
    assert result.extra == {"uuid": "u", "nested": {"a": [1]}}


def test_the_same_call_twice_does_the_work_once(source, store, monkeypatch):
    first, cached = annotate(source, AnnotateConfig(), store)
    assert not cached
    monkeypatch.setattr("splitreason_cli.annotating.annotators.surprisal.load_pair", None)
    second, cached = annotate(source, AnnotateConfig(), store)
    assert cached
    assert second == first


def test_a_run_that_stopped_anywhere_resumes_to_the_same_records(source, tmp_path, store):
    whole = annotate(source, AnnotateConfig(), store)[0].records.read_bytes()
    other = Store(tmp_path / "other")

    class StoppedError(Exception):
        pass

    def stop(progress):
        if progress.rows == 70:
            raise StoppedError

    with pytest.raises(StoppedError):
        annotate(source, AnnotateConfig(), other, watcher=AnnotateWatcher(on_progress=stop))
    # A kill in the middle of a write leaves half a group and half a line.
    scores = next((other.root / "replies").glob("*/*.jsonl"))
    scores.write_bytes(scores.read_bytes()[:-1500])
    assert 0 < scores.read_bytes().count(b"\n") < 96
    seen = []
    resumed, _ = annotate(source, AnnotateConfig(), other, watcher=AnnotateWatcher(on_record=seen.append))
    assert resumed.records.read_bytes() == whole == b"".join(seen)


def test_scores_are_those_of_one_code_but_for_work_that_another_began(source, tmp_path, store, monkeypatch):
    def stop(progress):
        if progress.rows == 70:
            raise KeyboardInterrupt

    def scored():
        return {path: path.read_bytes().count(b"\n") for path in (store.root / "replies").glob("*/*.jsonl")}

    with monkeypatch.context() as before:
        before.setattr("splitreason_cli.annotating.annotate.code_of", older_code)
        with pytest.raises(KeyboardInterrupt):
            annotate(source, AnnotateConfig(), store, watcher=AnnotateWatcher(on_progress=stop))
    (old,) = scored().values()
    resumed, _ = annotate(source, AnnotateConfig(), store)
    assert sorted(scored().values()) == sorted([old, 200 - old])
    assert len(resumed.info.begun) == 1
    other, _ = annotate(source, AnnotateConfig(fraction=0.1), store)
    assert sorted(scored().values()) == sorted([old, 200 - old, old]), "of its own code, which begins nothing"
    assert other.info.begun == ()


def test_the_hardest_lines_survive_the_cap():
    text = "aaaa\nbbbb\ncccc\ndddd"
    offsets = [(n, n + 1) for n in range(len(text))]
    gaps = [0.0] * len(text)
    gaps[0], gaps[6], gaps[11], gaps[16] = 1.0, 3.0, 2.0, 0.6
    lines = hard_lines(text, offsets, gaps, threshold=0.7)
    spans = keep_hardest(lines, 0.5 * len(text))
    assert [(text[s.start : s.end], s.score) for s in spans] == [("bbbb", 3.0), ("cccc", 2.0)]
    assert keep_hardest(lines, 0.0) == []
    assert markup.render(text, [(s.start, s.end) for s in spans]).count(markup.OPEN) == 2


FLAGS = dict.fromkeys(flag for kind in ANNOTATORS.own.values() for flag in kind.flags)


def test_an_annotator_of_ours_may_take_arguments(source, store, monkeypatch):
    monkeypatch.setitem(ANNOTATORS.own, "numbers", Numbers)
    config = AnnotateConfig("numbers(3)")
    check_flags(config, FLAGS)
    artifact, _ = annotate(source, config, store)
    marked = [one.reasoning[span.start : span.end] for one in annotated(artifact) for span in one.spans]
    assert marked
    assert all(len(text) == 3 for text in marked)
    with pytest.raises(UsageError, match="too many positional arguments"):
        annotate(source, AnnotateConfig("numbers(3,4)"), store)


@pytest.mark.parametrize("name", ["surprisal", "llm", "snippets"])
def test_annotators_that_take_flags_take_no_arguments(name):
    with pytest.raises(UsageError, match=rf"'{name}\(3\)': {name} takes no arguments\. Give its flags instead"):
        check_flags(AnnotateConfig(f"{name}(3)"), FLAGS)


THOUGHT = "We add two and two, which is four because two is one more than one, and one is one."
ASKED = {"role": "user", "content": "2+2?"}
ROW = {"problem": "2+2?", "answer": "4", "correctness_math_verify": [True]}


def rows_annotated(rows, tmp_path, store):
    write_atomically(tmp_path / "rows.jsonl", (orjson.dumps(row) + b"\n" for row in rows))
    source = Source.open(str(tmp_path / "rows.jsonl"), store)
    return annotate(source, AnnotateConfig("numbers(2)"), store)[0]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"generations": [f"<think>\n{THOUGHT}"]}, "is cut"),
        ({"generations": [f"<|begin_of_thought|>\n{THOUGHT}"]}, "is cut"),
        ({"messages": [ASKED, {"role": "assistant", "content": f"<think>{THOUGHT}"}]}, "is cut"),
        ({"generations": [f"{THOUGHT}</think>4"], "is_reasoning_complete": [False]}, "is cut"),
        ({"generations": [f"{THOUGHT}</think>4"], "finish_reasons": ["length"]}, "is cut"),
        ({"reasoning": THOUGHT, "finish_reason": "length"}, "finish_reason is length"),
        ({"reasoning": f"{THOUGHT} So the"}, "it ends with 'the'"),
        ({"generations": [f"<think>{THOUGHT}</think>4<|im_end|>"]}, "field 'response' contains <|im_end|>"),
        ({"generations": [f"<think>{THOUGHT}<think>so</think>4"]}, "field 'reasoning' contains <think>"),
        ({"reasoning": f"{THOUGHT}<｜end▁of▁sentence｜>"}, "field 'reasoning' contains <｜end▁of▁sentence｜>"),
        ({"reasoning": f"<start_of_turn>{THOUGHT}"}, "field 'reasoning' contains <start_of_turn>"),
    ],
)
def test_what_would_teach_wrongly_is_refused_before_anyone_is_asked(row, reason, tmp_path, store, monkeypatch):
    monkeypatch.setitem(ANNOTATORS.own, "numbers", Numbers)
    good = {"problem": "1+1?", "answer": "2", "reasoning": THOUGHT}
    artifact = rows_annotated([{**ROW, **row}, good], tmp_path, store)
    assert [one.problem for one in annotated(artifact)] == ["1+1?"]
    (rejected,) = (decode(line, Rejected.from_dict) for line in read_lines(artifact.rejected))
    assert reason in rejected.reason


def test_a_row_of_whole_and_cut_generations_gives_the_whole_ones(tmp_path, store, monkeypatch):
    monkeypatch.setitem(ANNOTATORS.own, "numbers", Numbers)
    whole, cut = f"<think>{THOUGHT}</think>4", f"<think>{THOUGHT}"
    flags = {"correctness_math_verify": [True] * 3, "is_reasoning_complete": [True, False, True]}
    artifact = rows_annotated([{**ROW, **flags, "uuid": "u", "generations": [whole, cut, whole]}], tmp_path, store)
    assert [one.id for one in annotated(artifact)] == ["u-0", "u-2"]
    assert all("is_reasoning_complete" not in one.extra for one in annotated(artifact))


def test_what_build_sft_will_drop_is_annotated_named_once_and_counted(tmp_path, store, monkeypatch):
    monkeypatch.setitem(ANNOTATORS.own, "numbers", Numbers)
    rows = [{"problem": f"{n}?", "reasoning": THOUGHT, "response": answer} for n, answer in enumerate(["4", "", ""])]
    notes = []
    store.on_note = notes.append
    artifact = rows_annotated(rows, tmp_path, store)
    assert len(annotated(artifact)) == 3
    (warning,) = [note for note in notes if "build-sft" in note]
    assert "rows.jsonl:2: there is neither an answer nor a response, so build-sft will drop it" in warning
    assert "2 of 3 traces have no answer to teach" in list(AnnotationTally.of(artifact).complaints(0.2))[-1]


def test_the_tally_is_that_of_the_whole_run(source, store):
    artifact, _ = annotate(source, AnnotateConfig(), store)
    tally, records = AnnotationTally.of(artifact), annotated(artifact)
    assert (tally.traces, tally.characters) == (len(records), sum(len(one.reasoning) for one in records))
    assert tally.marked == sum(span.end - span.start for one in records for span in one.spans)
    assert tally.without_spans == {"without a token above --threshold": sum(not one.spans for one in records)}


def test_prose_on_one_line_is_marked_by_whole_sentences(tmp_path, store):
    """The pair knows no prose, so that nearly every sentence surprises the small model."""
    prose = " ".join(f"Then we add {n} to {n * n} and see whether it is even." for n in range(20))
    write_atomically(tmp_path / "p.jsonl", [encode(Trace(id="p", problem="p", answer="1", reasoning=prose))])
    artifact, _ = annotate(Source.open(str(tmp_path / "p.jsonl"), store), AnnotateConfig(), store)
    (one,) = annotated(artifact)
    parts = [one.reasoning[span.start : span.end] for span in one.spans]
    assert parts
    assert all(part.startswith("Then we add") and part.endswith("even.") for part in parts)
    assert 0.1 * len(prose) < sum(map(len, parts)) <= 0.2 * len(prose)
    assert {left.reason for left in one.unplaced} <= {"over the fraction"}
