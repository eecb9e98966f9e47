import orjson
import pytest

from splitreason_cli.annotating.token_labels import gathered, labelled_text
from splitreason_cli.records.data import SchemaError
from splitreason_cli.store.jsonl import Line

TEXT = "<think>\nfirst we add\nthen é doubles\n\nit is 8\nfine\n</think>\n\n8"


def spell(token):
    return None if token == "<|user|>" else token.encode()


def row(text=TEXT, marked=(), **columns):
    """A row whose tokens are single characters; `marked` are the texts whose first character is labelled."""
    labels = [0] * len(text)
    for one in marked:
        labels[text.index(one)] = 1
    return {"real_token": list(text), "divergent": labels, **columns}


def marked(row, spell=spell):
    found = labelled_text(row, spell).thinking
    return [found.reasoning[a:b] for a, b in found.spans]


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (["doubles"], ["then é doubles"]),
        (["add", "fine"], ["first we add", "fine"]),
        (["add", "then"], ["first we add\nthen é doubles"]),
        (["then", "it is"], ["then é doubles\n\nit is 8"]),
        (["\nit"], []),
        (["\n8"], []),
        (["<think>"], []),
        ([], []),
    ],
)
def test_a_label_marks_its_line_and_neighbouring_lines_are_one_span(words, lines):
    assert marked(row(marked=words)) == lines


def test_a_label_of_what_the_small_model_predicts_belongs_to_the_token_after_it():
    tokens = ["one\n", "two", "\n", "three", "\n"]
    labels = [1, 0, 0, 0, 0]
    predicted = ["2", "\n", "three", "\n", "x"]
    assert marked({"real_token": tokens, "divergent": labels, "small_token": predicted}) == ["two"]
    assert marked({"real_token": tokens, "divergent": labels, "small_token": ["1", *tokens[1:]]}) == ["one"]
    assert marked({"real_token": tokens, "divergent": labels}) == ["one"]


def test_a_character_cut_between_tokens_counts_for_both():
    data = "a\né\nb".encode()
    tokens = [bytes([byte]) for byte in data]
    for cut in (2, 3):
        labels = [int(place == cut) for place in range(len(tokens))]
        found = labelled_text({"real_token": tokens, "divergent": labels}, bytes).thinking
        assert [found.reasoning[a:b] for a, b in found.spans] == ["é"]


@pytest.mark.parametrize(
    "prompt",
    [
        ["<|user|>", "What is 4*2?", "<|user|>", "<think>\n"],
        [
            "<|user|>",
            "system\nBe brief.",
            "<|user|>",
            "user\nWhat is 4*2?",
            "<|user|>",
            "\n",
            "assistant\n",
            "<think>\n",
        ],
        ["What is 4*2?"],
    ],
)
def test_masked_tokens_are_the_prompt_whose_last_turn_is_the_problem(prompt):
    written = ["it is", " 8\n</think>8"]
    mask = [0] * len(prompt) + [1, 1]
    labels = [1] * len(prompt) + [0, 1]
    found = labelled_text({"real_token": prompt + written, "divergent": labels, "mask": mask}, spell)
    assert (found.prompt, found.thinking.reasoning, found.thinking.response) == ("What is 4*2?", "it is 8", "8")
    assert found.thinking.spans == ((0, 7),)


def test_without_a_mask_the_prompt_ends_where_the_thinking_opens():
    found = labelled_text(row("What is 4*2?" + TEXT), spell)
    assert found.prompt == "What is 4*2?"
    assert found.thinking.reasoning.startswith("first we add")
    assert labelled_text(row("no scaffold"), spell).prompt == ""


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        ({"divergent": [1]}, "tokens in 'real_token' and 1 labels in 'divergent'"),
        ({"divergent": 1}, "'divergent' holds no tokens of a trace"),
        ({"real_token": [b"a", b"\xff"], "divergent": [0, 0]}, "no UTF-8 at byte 1"),
        ({"token_id": [5, 7, 6]}, "not in the order of 'token_id'"),
        ({"real_token": ["<bigmodel>"], "divergent": [0]}, "already contains"),
    ],
)
def test_columns_that_do_not_fit_are_refused(columns, complaint):
    whole = {"real_token": ["a", "b", "c"], "divergent": [0, 1, 0]} | columns
    with pytest.raises(SchemaError, match=complaint):
        labelled_text(whole, lambda token: token if isinstance(token, bytes) else token.encode())


def lines(*rows):
    return [Line(f"f:{number}", orjson.dumps(row), is_too_long=False) for number, row in enumerate(rows, start=1)]


def test_rows_of_one_token_become_a_row_a_trace_without_what_only_routers_need():
    one = {"data_id": 3, "token_id": 0, "real_token": 7, "divergent": 0, "small_logits": [1.0] * 9, "problem": "p"}
    rows = [one, {**one, "token_id": 1, "real_token": 8, "divergent": 1}, {**one, "data_id": 4, "real_token": 9}]
    found = list(gathered(lines(*rows)))
    assert [(line.where, orjson.loads(line.data)) for line in found] == [
        ("f:1", {"data_id": 3, "token_id": [0, 1], "real_token": [7, 8], "divergent": [0, 1], "problem": "p"}),
        ("f:3", {"data_id": 4, "token_id": [0], "real_token": [9], "divergent": [0], "problem": "p"}),
    ]


def test_lines_that_are_no_single_token_pass_as_they_are():
    given = [*lines({"real_token": [1], "divergent": [0], "data_id": 1}, {"problem": "p"}), Line("f:3", b"{", False)]
    assert list(gathered(given)) == given
    assert list(gathered([])) == []
