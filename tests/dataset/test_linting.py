from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from splitreason_cli.dataset.linting import Originals, read_original, read_tagged, why_wrong
from splitreason_cli.dataset.sft import BuildSftConfig, Format, build
from splitreason_cli.records import markup
from splitreason_cli.records.data import AnnotatedTrace, Message, SchemaError, SftConversation, Trace
from tests.records.strategies import well_formed

FORMATS = st.sampled_from(list(Format))
TAGS = (markup.OPEN, markup.CLOSE)


def text_of(record):
    return record.messages[-1].content if isinstance(record, SftConversation) else record.completion


def with_text(record, text):
    if isinstance(record, SftConversation):
        return replace(record, messages=(*record.messages[:-1], Message(role="assistant", content=text)))
    return replace(record, completion=text)


def tag_places(text):
    return [(start, start + len(tag)) for tag in TAGS for start in range(len(text)) if text.startswith(tag, start)]


@given(well_formed(), FORMATS, st.booleans())
def test_what_is_built_is_clean(trace, layout, think):
    originals = Originals()
    originals.add(trace)
    record = build(trace, BuildSftConfig(format=layout, think=think), "train")
    assert why_wrong(trace, originals) is None
    assert why_wrong(record, originals) is None


@given(well_formed().filter(lambda trace: trace.spans), FORMATS, st.data())
def test_any_single_corruption_of_a_tag_is_rejected(trace, layout, data):
    record = build(trace, BuildSftConfig(format=layout), "train")
    text = text_of(record)
    start, end = data.draw(st.sampled_from(tag_places(text)))
    tag = text[start:end]
    at = data.draw(st.integers(0, len(tag) - 1))
    corrupt = data.draw(
        st.sampled_from(
            [
                "",
                tag + tag,
                TAGS[tag == TAGS[0]],
                tag[:at] + tag[at + 1 :],
                tag[:at] + "X" + tag[at + 1 :],
                tag[: at + 1] + " " + tag[at + 1 :],
            ]
        )
    )
    broken = text[:start] + corrupt + text[end:]
    assume(broken != text)
    assert why_wrong(with_text(record, broken)) is not None


@given(well_formed(), FORMATS, st.integers(0, 10**6), st.sampled_from(TAGS))
def test_a_tag_too_many_is_rejected_wherever_it_stands(trace, layout, place, tag):
    record = build(trace, BuildSftConfig(format=layout), "train")
    text = text_of(record)
    place %= len(text) + 1
    assert why_wrong(with_text(record, text[:place] + tag + text[place:])) is not None


@given(well_formed(), FORMATS, st.integers(0, 10**6))
def test_a_changed_text_is_rejected(trace, layout, place):
    assume(trace.reasoning)
    place %= len(trace.reasoning)
    other = trace.reasoning[:place] + "?" + trace.reasoning[place + 1 :]
    record = build(replace(trace, reasoning=other), BuildSftConfig(format=layout), "train")
    originals = Originals()
    originals.add(trace)
    digest = build(trace, BuildSftConfig(), "train").reasoning_sha256
    assert "does not have the digest" in why_wrong(replace(record, reasoning_sha256=digest))
    assert "is not that of the trace 't'" in why_wrong(record, originals)
    assert why_wrong(replace(record, reasoning_sha256=None)) is None


def test_traces_may_share_an_id_and_none_takes_the_text_of_another():
    originals = Originals()
    for name, reasoning in (("a", "one"), ("a", "two"), ("b", "three"), ("", "a3:one")):
        originals.add(Trace(id=name, problem="p", answer="4", reasoning=reasoning))
    for name, reasoning in (("a", "one"), ("a", "two"), ("b", "three"), ("", "a3:one")):
        assert originals.why_unlike(name, reasoning) is None
    assert originals.why_unlike("a", "three") == "the reasoning without tags is not that of the trace 'a'"
    assert originals.why_unlike("a#2", "two") is None
    assert originals.why_unlike("c#2", "two") == "no trace has the id 'c#2'"
    assert originals.why_unlike("a1:a3", "one") == "no trace has the id 'a1:a3'"


def completed(text):
    trace = AnnotatedTrace(id="t", problem="p", answer="4", reasoning="", spans=(), annotator="x")
    return replace(build(trace, BuildSftConfig(), "train"), completion=text, reasoning_sha256=None)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a <bigmodel>b\n</think>\n\n4", "never closed"),
        ("a <bigmodel>b <bigmodel>c</bigmodel>\n</think>\n\n4", "inside another span"),
        ("a </bigmodel>\n</think>\n\n4", "closes nothing"),
        ("a <bigmodel></bigmodel>\n</think>\n\n4", "is empty"),
        ("a <bigmodel>b</bigmodel><bigmodel>c</bigmodel>\n</think>\n\n4", "touches another"),
        ("a <Big-Model>b</Big-Model>\n</think>\n\n4", "misspelt: '<Big-Model>'"),
        ("a <bigmodel>b\n</think>\n\n4</bigmodel>", "stands after </think>"),
        ("a\n</think>\n\n<bigmodel>4</bigmodel>", "stands after </think>"),
        ("a <bigmodel>b</bigmodel>", "holds no </think>"),
        ("a\n</think>\n\n\\boxed{}", "empty \\boxed{}"),
        ("a\n</think>\n\nSo it is\n\\boxed{ }.", "empty \\boxed{}"),
        ("a\n</think>\n\n", "nothing stands after </think>"),
        ("a <|im_end|>\n</think>\n\n4", "<|im_end|> stands inside the thinking"),
        ("<think>\n<think>\na\n</think>\n\n4", "<think> stands inside the thinking"),
        ("a\n</think>\n\n4</think>", "</think> stands after the end of thinking"),
        ("a\n</think>\n\n4<｜end▁of▁sentence｜>", "stands after the end of thinking"),
        ("a and the\n</think>\n\n\\boxed{4}", "the generation was cut"),
    ],
)
def test_each_fault_has_its_reason(text, reason):
    assert reason in why_wrong(completed(text))


def test_a_finished_record_that_a_column_calls_cut_is_rejected():
    record = replace(completed("a\n</think>\n\n4"), extra={"finish_reason": "length"})
    assert "its finish_reason is length" in why_wrong(record)


def test_a_response_may_follow_thinking_that_stops_in_a_sentence():
    assert why_wrong(completed("a and the\n</think>\n\nIt is 4.")) is None


@pytest.mark.parametrize("answer", ["", " "])
def test_an_annotated_trace_without_an_answer_is_rejected(answer):
    trace = AnnotatedTrace(id="t", problem="p", answer=answer, reasoning="a", spans=(), annotator="x")
    assert "neither an answer nor a response" in why_wrong(trace)


def test_a_conversation_without_an_answer_is_rejected():
    chat = SftConversation(id="t", split="train", messages=(Message(role="user", content="p"),))
    assert "not the assistant's" in why_wrong(chat)
    assert "not the assistant's" in why_wrong(replace(chat, messages=()))


def test_a_record_whose_trace_is_unknown_is_rejected():
    assert why_wrong(completed("a\n</think>\n\n4"), Originals()) == "no trace has the id 't'"


def test_traces_that_share_an_id_are_all_accepted():
    originals = Originals()
    for reasoning in ("a", "b"):
        originals.add(Trace(id="t", problem="p", answer="4", reasoning=reasoning))
    assert [why_wrong(completed(f"{r}\n</think>\n\n4"), originals) is None for r in "abc"] == [True, True, False]


@pytest.mark.parametrize("value", [{"kind": "trace"}, {"id": "t"}, [], None])
def test_only_tagged_kinds_are_checked(value):
    with pytest.raises(SchemaError, match="annotated_trace, sft_example or sft_conversation"):
        read_tagged(value)


def test_a_trace_to_compare_with_needs_no_kind():
    plain = {"id": "t", "problem": "p", "answer": "4", "reasoning": "r"}
    assert isinstance(read_original(plain), Trace)
    annotated = {**plain, "kind": "annotated_trace", "spans": [], "annotator": "x"}
    assert isinstance(read_original(annotated), AnnotatedTrace)
