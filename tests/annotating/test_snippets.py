import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.annotating import snippets

clean = st.text(st.characters(exclude_characters="<>\x08\x0c\r\t", exclude_categories=("Cs", "Cc")), min_size=1)
TEXTS = st.lists(clean.map(str.strip).filter(bool), max_size=5)


@given(TEXTS)
def test_json_replies_are_read_exactly(texts):
    for reply in (json.dumps({"snippets": texts}), json.dumps(texts), f"```json\n{json.dumps(texts, indent=1)}\n```"):
        assert snippets.parse(reply) == snippets.ParsedReply(tuple(texts), complete=True)


@given(TEXTS)
def test_delimited_replies_are_read_exactly(texts):
    reply = "\n".join(f"<snippet>{text}</snippet>" for text in texts)
    parsed = snippets.parse(f"Here they are:\n{reply}\nThat is all.")
    assert parsed == snippets.ParsedReply(tuple(texts), complete=True)


@pytest.mark.parametrize(
    ("reply", "texts", "complete"),
    [
        (r'{"snippets": ["so \(x\) is \frac{1}{2}", "y"]}', [r"so \(x\) is \frac{1}{2}", "y"], True),
        (r'{"snippets": ["\theta + \beta"]}', [r"\theta + \beta"], True),
        (r'{"snippets": ["one\ntwo \\alpha"]}', ["one\ntwo \\alpha"], True),
        ('{"snippets": ["one two", "three fo', ["one two", "three fo"], False),
        ("<snippet>one</snippet><snippet>tw", ["one", "tw"], False),
        ("<snippet>one<snippet>two</snippet>", ["one", "two"], False),
        ('<think>perhaps ["no"]?</think>{"snippets": ["yes"]}', ["yes"], True),
        ('{"snippets": [{"text": "one"}, {"text": "two"}]}', ["one", "two"], True),
        ('{"snippets": []}', [], True),
        ("I am sorry.", [], True),
        (r"The hard step is \frac{1}{2} = \sqrt{\text{area}}, for x in [0, 1].", [], True),
        (r"\boxed{\text{'yes'}} where S_{\"a\"} = {1, 2}", [], True),
        (r'With \frac{a}{b} in [0, 1): {"snippets": ["the \\frac{a}{b}"]}', [r"the \frac{a}{b}"], True),
        ("Here: {snippets: ['one', 'two']}", ["one", "two"], True),
        ('{"thoughts": "first I look", "snippets": ["one"]}', ["one"], True),
        ('["one", "two"]', ["one", "two"], True),
        ('{"snippets": ["\\ud800 one"]}', ["\ufffd one"], True),
        ("[" * 3000 + '"one"' + "]" * 3000, [], True),
        ("", [], True),
    ],
)
def test_what_models_really_reply_is_read_as_far_as_it_goes(reply, texts, complete):
    assert snippets.parse(reply) == snippets.ParsedReply(tuple(texts), complete)


@given(st.text())
def test_no_reply_makes_the_parser_fail(reply):
    assert all(isinstance(text, str) and text for text in snippets.parse(reply).snippets)
    assert all(snippets.parse('{"snippets": [' + reply).snippets)


def test_the_request_asks_for_the_fraction_and_starts_alike_for_every_trace():
    one = snippets.request("p", "the reasoning", 0.2, as_json=True)
    other = snippets.request("q", "another", 0.2, as_json=True)
    assert one[0] == other[0]
    assert "20 %" in one[0]["content"]
    assert one[1]["content"].endswith("the reasoning")
    assert "<snippet>" in snippets.request("p", "r", 0.2, as_json=False)[0]["content"]
