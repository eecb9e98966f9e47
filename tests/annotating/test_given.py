"""Rows that are marked already, by the verb: nobody is asked, and what is broken is quarantined."""

import orjson
import pytest

from splitreason_cli.annotating.annotate import AnnotateConfig, annotate
from splitreason_cli.errors import InputError, UsageError
from splitreason_cli.layouts.reading import Reading
from splitreason_cli.records.data import AnnotatedTrace, HardSpan, Rejected
from splitreason_cli.store.artifacts import Store
from splitreason_cli.store.jsonl import decode, read_lines
from splitreason_cli.store.source import Source
from tests.layouts.test_marked import BOTH, chat, published, tagged

GIVEN = AnnotateConfig(annotator="given")


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def source(tmp_path, store):
    def of(*rows):
        path = tmp_path / "in.jsonl"
        path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
        return Source.open(str(path), store)

    return of


def results(artifact):
    rejected = read_lines(artifact.rejected) if artifact.rejected.exists() else ()
    return (
        [decode(line, AnnotatedTrace.from_dict) for line in read_lines(artifact.records)],
        [decode(line, Rejected.from_dict).reason for line in rejected],
    )


def test_published_rows_become_annotated_traces_and_broken_ones_are_quarantined(source, store):
    broken = published(uuid="v", annotated_generations=[tagged(passages=["Yes."], closing="")])
    artifact, _ = annotate(source(published(), broken, published(uuid="w")), GIVEN, store)
    traces, reasons = results(artifact)
    assert [trace.id for trace in traces] == ["u-0", "w-0"]
    assert [[trace.reasoning[s.start : s.end] for s in trace.spans] for trace in traces] == [[*BOTH], [*BOTH]]
    assert len(reasons) == 1
    assert reasons[0].startswith("unclosed: ")
    assert not artifact.unfinished, "a rerun would find the same"


def test_a_file_of_broken_rows_alone_is_quarantined_row_by_row(source, store):
    rows = [published(annotated_generations=[tagged().replace("144", "1")])] * 120
    traces, reasons = results(annotate(source(*rows), GIVEN, store)[0])
    assert (traces, len(reasons)) == ([], 120)


def test_annotated_traces_keep_their_spans_and_their_annotator(source, store):
    trace = AnnotatedTrace(
        id="t", problem="p", answer="1", reasoning="abc", spans=(HardSpan(start=0, end=1, score=2.0),), annotator="llm"
    )
    bad = trace.to_dict() | {"id": "bad", "spans": [{"start": 2, "end": 9, "score": 1.0}]}
    traces, reasons = results(annotate(source(trace.to_dict(), bad), GIVEN, store)[0])
    assert traces == [trace]
    assert len(reasons) == 1
    assert "span [2, 9)" in reasons[0]


@pytest.mark.parametrize("row", [published(), published(annotated_generations=None), {"messages": chat(tagged())}])
def test_no_other_annotator_takes_a_marked_row_for_a_plain_one(source, store, row):
    with pytest.raises(InputError, match="annotated already: --annotator given"):
        annotate(source(row), AnnotateConfig(), store)


def test_among_plain_rows_a_marked_one_is_quarantined(source, store):
    plain = published(uuid="v", annotated_generations=None, messages=None)
    traces, reasons = results(annotate(source(published(), plain), AnnotateConfig(), store)[0])
    assert [trace.id for trace in traces] == ["v-0"]
    assert traces[0].annotator == "surprisal"
    assert reasons[0].startswith("annotated already")


def test_who_names_the_plain_column_annotates_anew(source, store):
    anew = AnnotateConfig(reading=Reading(columns=(("generations", "generations"),)))
    (trace,), _ = results(annotate(source(published()), anew, store)[0])
    assert trace.annotator == "surprisal"
    assert "annotated_generations" not in trace.extra


def token_rows(*traces):
    """A row a token in R2R's columns; each trace is a list of words, of which those in capitals are labelled."""
    return [
        {"data_id": number, "token_id": place, "real_token": word, "divergent": int(word.isupper()), "problem": "p?"}
        for number, words in enumerate(traces)
        for place, word in enumerate(words)
    ]


def test_labelled_tokens_become_traces_whose_lines_are_marked(source, store):
    rows = token_rows(["easy", "\n", "a ", "HARD", " one\n", "so"], ["all", " easy"])
    traces, reasons = results(annotate(source(*rows), AnnotateConfig(annotator="divergent"), store)[0])
    assert [(trace.id, trace.reasoning) for trace in traces] == [("0", "easy\na HARD one\nso"), ("1", "all easy")]
    assert [[trace.reasoning[s.start : s.end] for s in trace.spans] for trace in traces] == [["a HARD one"], []]
    assert (traces[0].annotator, traces[0].problem, traces[0].extra, reasons) == ("divergent", "p?", {}, [])


def test_a_trace_of_which_tokens_are_missing_is_quarantined(source, store):
    rows = token_rows(["a ", "b ", "c"], ["d"])
    del rows[1]
    traces, reasons = results(annotate(source(*rows), AnnotateConfig(annotator="divergent"), store)[0])
    assert [trace.id for trace in traces] == ["1"]
    assert reasons[0].startswith("the tokens of the trace are not all there")


def test_token_ids_are_spelled_by_their_tokenizer(source, store):
    from splitreason_cli.models.loading import load_plain_tokenizer

    tokenizer = load_plain_tokenizer("mini-small")
    turns = [{"role": "user", "content": "1+1?"}]
    prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
    written = tokenizer("one\nthen 1+1\n</think>\n\n2", add_special_tokens=False)["input_ids"]
    ids = [*prompt, *written, tokenizer.eos_token_id]
    labels = [int("then" in tokenizer.decode(ids[: place + 1])) for place in range(len(ids))]
    first = labels.index(1)
    row = {"data_id": 7, "real_token": ids, "divergent": [int(place == first) for place in range(len(ids))]}
    rows = [row, {**row, "real_token": [10**6, *ids[1:]], "data_id": 8}]
    config = AnnotateConfig(annotator="divergent", tokenizer="mini-small")
    (trace,), reasons = results(annotate(source(*rows), config, store)[0])
    assert (trace.id, trace.problem, trace.reasoning, trace.response) == ("7", "1+1?", "one\nthen 1+1", "2")
    assert [trace.reasoning[s.start : s.end] for s in trace.spans] == ["then 1+1"]
    assert reasons[0].startswith("mini-small has no token 1000000")


@pytest.mark.parametrize(("token", "what"), [(5, "token ids"), ("Ġb", "entries of a vocabulary")])
def test_tokens_that_are_no_text_ask_for_a_tokenizer(source, store, token, what):
    rows = [{"data_id": 1, "real_token": ["a", token], "divergent": [0, 1], "problem": "p"}]
    with pytest.raises(UsageError, match=f"{what}.*--tokenizer"):
        annotate(source(*rows), AnnotateConfig(annotator="divergent"), store)


def test_without_a_problem_the_column_is_asked_for(source, store):
    rows = [{"data_id": 1, "real_token": ["a"], "divergent": [0]}]
    with pytest.raises(InputError, match="problem"):
        annotate(source(*rows), AnnotateConfig(annotator="divergent"), store)
