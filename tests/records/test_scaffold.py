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
    ("text", "empty"),
    [
        (r"The answer is \boxed{}.", True),
        (r"\boxed{ }", True),
        (r"\[ \boxed{\text{ }} \]", True),
        (r"\boxed{\,}", True),
        (r"\fbox{}", True),
        (r"\boxed{4}, I mean \boxed{}", True),
        (r"\boxed{", True),
        (r"\boxed{4}", False),
        (r"\boxed{\{\}}", False),
        (r"\boxed{\emptyset}", False),
        (r"put it in \boxed{}. It is \boxed{\frac{1}{2}}", False),
        (r"\boxed{}^2 is no answer but \boxed 4", True),
        ("It is 4.", False),
        ("", False),
    ],
)
def test_the_last_box_decides(text, empty):
    assert scaffold.ends_in_empty_box(text) == empty


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"is_reasoning_complete": False}, "is_reasoning_complete is false"),
        ({"is_reasoning_complete": [False]}, "is_reasoning_complete is false"),
        ({"finish_reason": "length"}, "finish_reason is length"),
        ({"finish_reasons": ["length"]}, "finish_reasons is length"),
        ({"finish_reason": "max_tokens"}, "finish_reason is max_tokens"),
    ],
)
def test_a_column_may_say_that_a_generation_was_cut(columns, said):
    assert said in scaffold.why_cut("We add.", "It is 4.", columns)


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"is_reasoning_complete": True},
        {"is_reasoning_complete": None},
        {"finish_reason": "stop"},
        {"finish_reason": 0},
        {"finish_reason": ["length", "stop"]},
    ],
)
def test_other_columns_say_nothing(columns):
    assert scaffold.why_cut("We add.", "It is 4.", columns) is None


CUT = [
    "so the sum of the",
    "We have x =",
    "and then,",
    r"so \[ x + 1",
    r"so \( x",
    "f(x) = (",
    "either 3 or",
    "x^",
    "2 +",
]
WHOLE = [
    "It is 4",
    "It is 4.",
    "It is a",
    "a) 482+7\n489",
    r"so \( x = 4 \)",
    "所以是四。",
    "It is 42!",
    "[1, 2\n]",
    "I am sure of that",
    "that is what I thought of",
    "**Final answer: 4**",
    "It is written in C++",
    "I was wrong :(",
    "see https://example.org/",
    r"x = 4 \\",
    "",
]


@pytest.mark.parametrize("text", CUT)
def test_thinking_that_stops_in_a_sentence_was_cut_unless_a_response_follows(text):
    assert scaffold.why_cut(text, "", {})
    assert scaffold.why_cut(text, "It is 4.", {}) is None


@pytest.mark.parametrize("text", WHOLE)
def test_thinking_that_may_have_ended_was_not_cut(text):
    assert scaffold.why_cut(text, "", {}) is None


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
    scaffold.why_cut(text, "", {})
    assert not (scaffold.ends_in_empty_box(text) and "box" not in text)
