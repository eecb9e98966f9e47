import hashlib
from dataclasses import replace

import pytest
from hypothesis import given

from splitreason_cli.dataset.sft import BuildSftConfig, Format, build, split_of, why_malformed
from splitreason_cli.errors import UsageError
from splitreason_cli.records import markup
from splitreason_cli.records.data import AnnotatedTrace, HardSpan
from splitreason_cli.records.prompts import thinking
from tests.records.strategies import well_formed

MESSAGES = BuildSftConfig(format=Format.MESSAGES)


def trace(spans=((4, 7),), problem="p", response="", **extra):
    return AnnotatedTrace(
        id="a",
        problem=problem,
        answer="42",
        reasoning="one two",
        response=response,
        annotator="x",
        extra=extra,
        spans=tuple(HardSpan(start=a, end=b, score=1.0) for a, b in spans),
    )


def example(of, **config):
    return build(of, BuildSftConfig(**config), "train")


def test_the_completion_is_tagged_reasoning_and_boxed_answer():
    assert example(trace()).completion == "one <bigmodel>two</bigmodel>\n</think>\n\n\\boxed{42}"


@pytest.mark.parametrize("response", ["It is 42.", "\n\nIt is 42."])
def test_a_known_response_follows_the_thinking_instead_of_the_boxed_answer(response):
    built = example(trace(response=response))
    assert built.completion == "one <bigmodel>two</bigmodel>\n</think>\n\nIt is 42."


def test_a_blank_response_counts_as_none():
    assert example(trace(response=" \n")) == example(trace())


def test_the_thinking_is_opened_only_where_the_template_does_not():
    assert example(trace(), think=True).completion == "<think>\n" + example(trace()).completion


def test_a_conversation_holds_the_same_prompt_and_the_whole_thinking():
    chat = build(trace(), MESSAGES, "train")
    assert chat.kind == "sft_conversation"
    assert [message.role for message in chat.messages] == ["user", "assistant"]
    assert chat.messages[0] == example(trace()).prompt[0]
    assert chat.messages[1].content == example(trace(), think=True).completion


def test_instruction_and_hint_go_into_the_prompt_in_this_order_only_if_wanted():
    def asked(**config):
        return example(trace(), **config).prompt[0].content

    assert asked() == f"p\n{markup.HINT}"
    assert asked(hint=False) == "p"
    assert asked(instruction="Think.") == f"p\nThink.\n{markup.HINT}"
    assert asked(hint=False, instruction="Think.") == "p\nThink."


def test_a_trace_without_spans_teaches_not_to_open():
    assert markup.OPEN not in example(trace(spans=())).completion


def test_foreign_fields_travel_along():
    assert example(trace(source="s")).to_dict()["source"] == "s"
    assert build(trace(source="s"), MESSAGES, "train").to_dict()["source"] == "s"


@given(well_formed())
def test_the_digest_is_that_of_the_untagged_reasoning_in_the_completion(of):
    for config in (BuildSftConfig(), BuildSftConfig(think=True)):
        built = build(of, config, "train")
        tagged, _ = thinking(built.completion)
        assert markup.strip(tagged) == of.reasoning
        assert built.reasoning_sha256 == hashlib.sha256(of.reasoning.encode()).hexdigest()


def test_the_split_depends_on_the_problem_alone_and_the_share_is_kept():
    splits = [split_of(str(n), 0.2) for n in range(2000)]
    assert splits == [split_of(str(n), 0.2) for n in range(2000)]
    assert splits.count("test") / 2000 == pytest.approx(0.2, abs=0.03)


@pytest.mark.parametrize("spans", [[(0, 99)], [(3, 3)], [(0, 5), (3, 6)], [(4, 6), (0, 2)], [(0, 2), (2, 4)]])
def test_spans_that_do_not_fit_are_malformed(spans):
    assert "Annotate the trace again" in why_malformed(trace(spans))
    assert why_malformed(trace()) is None


@pytest.mark.parametrize("field", ["reasoning", "response", "answer"])
@pytest.mark.parametrize("mark", ["<think>", "</think>", "</bigmodel>", "<|im_end|>", "◁/think▷", "[/INST]"])
def test_marks_inside_a_text_are_malformed(field, mark):
    assert mark in why_malformed(replace(trace(spans=()), **{field: f"x {mark} y"}))


def test_a_cut_trace_is_malformed():
    assert "the generation was cut" in why_malformed(trace(is_reasoning_complete=False))
    assert "the generation was cut" in why_malformed(replace(trace(), reasoning="one two,"))


def test_a_limit_without_a_tokenizer_is_a_usage_error():
    with pytest.raises(UsageError, match="--max-tokens needs a tokenizer"):
        BuildSftConfig(max_tokens=5)
