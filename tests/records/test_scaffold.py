import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.records import scaffold

MARKS = [
    "<think>",
    "</think>",
    "</thinking>",
    "<thought>",
    "<seed:think>",
    "<|begin_of_thought|>",
    "<|end_of_solution|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|endoftext|>",
    "<|eot_id|>",
    "<|start_header_id|>",
    "<|reserved_special_token_12|>",
    "<|channel|>",
    "<|assistant|>",
    "<|channel>",
    "<turn|>",
    "<start_of_turn>",
    "<｜end▁of▁sentence｜>",
    "<｜Assistant｜>",
    "<[begin▁of▁sentence]>",
    "◁think▷",
    "◁/think▷",
    "[INST]",
    "[/INST]",
    "[THINK]",
    "<<SYS>>",
]
ORDINARY = [
    "a < b > c, and a <b> bold </b> word",
    "so a <answer> b is what we look for",
    "|x| <|y|> |z|, and <|x_1|> too",
    "we have x<|a - b|>y",
    "[think] about it, [1] and [inst] are no marks",
    "vector<int> v; if (a<|b) {} map<string, think> m; cout << SYS >> 2",
    "< think >, the thinking, think> and <thin",
    "some <s>struck out</s> text",
    r"\langle\psi|\phi\rangle and <psi|phi>",
    "f ◁ g ▷ h",
    "<reason> <end> <user> start|end",
]


@pytest.mark.parametrize("mark", MARKS)
def test_a_mark_of_any_family_is_found_wherever_it_stands(mark):
    for text in (mark, f"So {mark} it is.", f"It is 4.{mark}\n", f"{mark}\nIt is 4."):
        assert scaffold.find_mark(text) == mark


@pytest.mark.parametrize("text", ORDINARY)
def test_what_prose_maths_and_code_write_is_no_mark(text):
    assert scaffold.find_mark(text, thinking=True) is None


def test_the_ends_of_a_sequence_are_marks_only_at_the_ends_of_a_text():
    assert scaffold.find_mark("It is 4.</s>") == "</s>"
    assert scaffold.find_mark("<s> It is 4.") == "<s>"


def test_the_frame_of_an_answer_is_a_mark_in_the_thinking_only():
    for text in ("So\n<answer> 4 </answer>", "So it is 4.\n</answer>", "<answer>\n4"):
        assert "answer>" in scaffold.find_mark(text, thinking=True)
        assert scaffold.find_mark(text) is None


def test_the_first_of_several_marks_is_named():
    assert scaffold.find_mark("a <|im_end|> b <think> c") == "<|im_end|>"


@pytest.mark.parametrize(
    ("opening", "completion", "said"),
    [
        ("[answer]<think>\n", "We add.\n</think>\n\n4", None),
        ("[answer]", "<think>\nWe add.\n</think>\n\n4", None),
        ("[answer]", "We add.\n</think>\n\n4", "neither"),
        ("[answer]<think>\n", "<think>\nWe add.\n</think>\n\n4", "opened 2 times"),
        ("[answer]</think>", "We add.\n</think>\n\n4", "closes the thinking"),
        ("[answer]<think>\n\n</think>\n\n", "<think>\nWe add.\n</think>\n\n4", "closes the thinking"),
        ("[answer]◁think▷", "We add.\n</think>\n\n4", "opens the thinking with ◁think▷"),
        ("[answer][THINK]", "<think>\nWe add.\n</think>\n\n4", r"with \[THINK\]"),
        ("[answer]<think>\n", "We add. 4", "closed 0 times"),
    ],
)
def test_template_and_completion_together_open_the_thinking_once(opening, completion, said):
    reason = scaffold.why_mismatched(opening, opening + completion)
    assert reason is None if said is None else said.replace("\\", "") in reason


@given(st.text())
def test_no_text_is_too_strange(text):
    scaffold.find_mark(text, thinking=True)


@pytest.mark.parametrize(
    ("generation", "parts"),
    [
        ("<think>\nhm\n</think>\n\nThe answer is 4.", ("hm", "The answer is 4.")),
        ("hm\n</think>\n4", ("hm", "4")),
        ("<think>hm</think><answer>4</answer>", ("hm", "4")),
        ("<|begin_of_thought|>hm<|end_of_thought|>\n<|begin_of_solution|>4<|end_of_solution|>", ("hm", "4")),
        ("<think>it never ends", ("it never ends", "")),
        (" no scaffold ", ("no scaffold", "")),
    ],
)
def test_thinking_is_split_from_the_response(generation, parts):
    assert scaffold.split_thinking(generation) == parts


@pytest.mark.parametrize("mark", scaffold.THOUGHT_MARKS)
def test_every_mark_that_splits_a_text_is_found_inside_one(mark):
    assert scaffold.find_mark(f"So {mark} it is.", thinking=True) == mark
