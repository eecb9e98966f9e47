"""Rows whose spans are marked already, rebuilt as the paper's authors and others publish them."""

import pytest

from splitreason_cli.layouts.marked import is_marked, read_annotated, read_marked, records_of
from splitreason_cli.layouts.reading import Reading, Refusal
from splitreason_cli.records.data import AnnotatedTrace, HardSpan, Problem, SchemaError, Trace
from splitreason_cli.records.markup import SpanTags

PLAIN = "<think>\nLet me see: 12*12 = 144.\nIs 144 a square? Yes.\nDone.\n</think>\n\nSo \\boxed{144}."
OTHER = "<think>\nTwelve twelves.\n</think>\n\n144"
HARD = Reading(tags=SpanTags.read("<hard>,</hard>"))
ALL = Reading(generations="all")


BOTH = ("12*12 = 144.", "Is 144 a square?")


def tagged(text=PLAIN, passages=BOTH, opening="<bigmodel>", closing="<\\bigmodel>"):
    for passage in passages:
        text = text.replace(passage, f"{opening}{passage}{closing}")
    return text


THOUGHT = tagged().removeprefix("<think>\n").partition("\n</think>")[0]


def chat(text, problem="12*12?"):
    return [{"role": "user", "content": problem}, {"role": "assistant", "content": text}]


def published(**changes):
    """A row in the columns of the paper's data set."""
    padded = tagged().replace("<bigmodel>", "\n <bigmodel> \n")
    row = {
        "problem": "12*12?",
        "answer": "144",
        "uuid": "u",
        "generations": [PLAIN],
        "annotated_generations": [tagged()],
        "correctness_math_verify": [True],
        "messages": chat(padded),
        "source": "olympiads",
    }
    return {name: value for name, value in (row | changes).items() if value is not None}


def marked(row, reading=None):
    """The marked texts of each trace of a row, or the beginning of why it is none."""
    found = read_marked(row, reading or Reading()).value
    return [one.reason if isinstance(one, Refusal) else passages(one) for one in found]


def passages(trace):
    return [trace.reasoning[span.start : span.end] for span in trace.spans]


def test_a_published_row_is_its_generation_with_the_spans_of_the_untagged_text():
    (trace,) = read_marked(published()).value
    assert trace.reasoning == "Let me see: 12*12 = 144.\nIs 144 a square? Yes.\nDone."
    assert trace.response == "So \\boxed{144}."
    assert passages(trace) == [*BOTH]
    assert (trace.id, trace.problem, trace.answer, trace.annotator) == ("u-0", "12*12?", "144", "given")
    assert trace.extra == {"uuid": "u", "source": "olympiads", "generation": 0}


OTHER_LAYOUTS = {
    "messages beside generations": published(annotated_generations=None),
    "messages alone": published(annotated_generations=None, generations=None),
    "annotated alone": published(generations=None),
    "closing as it is meant": published(annotated_generations=[tagged(closing="</bigmodel>")]),
    "padded": published(annotated_generations=[tagged().replace("<bigmodel>", "\n <bigmodel> \n")]),
    "padded otherwise": published(
        annotated_generations=[tagged(PLAIN, BOTH, " \n\t<bigmodel>\n", "\n</bigmodel>\n\n")]
    ),
    "messages unpadded": {"problem": "12*12?", "answer": "144", "messages": chat(tagged())},
    "from and value": {"conversations": [{"from": "human", "value": "12*12?"}, {"from": "gpt", "value": tagged()}]},
    "completion": {"id": "t", "problem": "12*12?", "answer": "144", "completion": tagged()},
    "trace": {"kind": "trace", "id": "t", "problem": "12*12?", "answer": "144", "reasoning": THOUGHT},
}


@pytest.mark.parametrize("row", OTHER_LAYOUTS.values(), ids=OTHER_LAYOUTS)
def test_tagged_texts_in_any_layout_have_their_spans(row):
    assert marked(row) == [[*BOTH]]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (tagged(closing=""), "nested"),
        (tagged(passages=["Yes."], closing=""), "unclosed"),
        (tagged(opening=""), "unopened"),
        (PLAIN.replace("Yes", "<bigmodel><\\bigmodel>Yes"), "empty"),
        (PLAIN.replace(" Yes", "<bigmodel> <\\bigmodel>Yes"), "blank"),
        (tagged().replace("144", "143"), "differs"),
        ("<bigmodel>Error processing Due To x \n <\\bigmodel>", "differs"),
        (tagged(closing="</ BigModel>"), "nested"),
        (tagged() + "<big-model>", "misspelt"),
    ],
)
def test_what_is_broken_is_refused_with_its_sort_in_front(text, fault):
    (reason,) = marked(published(annotated_generations=[text]))
    assert reason.startswith(f"{fault}: ")
    assert reason.endswith("in annotated_generations[0]")


def test_one_broken_generation_spoils_no_other():
    row = published(
        generations=[PLAIN, OTHER, OTHER + "!"],
        annotated_generations=[tagged(), tagged(OTHER, ["twelves."], closing=""), tagged(OTHER + "!", ["Twelve"])],
        correctness_math_verify=[True, True, True],
    )
    first, second, third = marked(row)
    assert (first, third) == ([*BOTH], ["Twelve"])
    assert second.startswith("unclosed: ")


@pytest.mark.parametrize(
    ("annotated", "found"),
    [
        ([tagged(), OTHER], [[*BOTH]]),
        ([tagged()], [[*BOTH]]),
        ([tagged(), OTHER, tagged(OTHER, ["Twelve"])], [[*BOTH], ["Twelve"]]),
        ([PLAIN, OTHER], []),
    ],
)
def test_generations_that_nobody_marked_are_left_out_and_it_is_said(annotated, found):
    row = published(generations=[PLAIN, OTHER], annotated_generations=annotated, correctness_math_verify=[True, True])
    read = read_marked(row)
    assert [passages(trace) for trace in read.value] == found
    assert ("generations without a tag are left out" in read.understood.remarks) == (len(found) < 2)


def test_of_lists_that_do_not_go_together_a_text_that_is_no_generation_is_refused():
    row = published(generations=[PLAIN, OTHER], annotated_generations=[tagged("Another text. Is 144 a square?")])
    reasons = marked(row, ALL)
    assert len(reasons) == 2
    assert all(reason.startswith("differs: none of the 1 texts") for reason in reasons)


def test_wrong_generations_are_chosen_as_of_plain_rows():
    row = published(correctness_math_verify=[False])
    assert read_marked(row).value == []
    assert len(read_marked(row, ALL).value) == 1


def test_what_is_marked_in_the_response_is_kept_apart_and_said():
    row = published(annotated_generations=[tagged(passages=["Done.\n</think>\n\nSo", "\\boxed{144}", "Yes."])])
    read = read_marked(row)
    (trace,) = read.value
    assert passages(trace) == ["Yes.", "Done."]
    assert [(one.snippet, one.reason) for one in trace.unplaced] == [
        ("So", "in the response"),
        ("\\boxed{144}", "in the response"),
    ]
    assert trace.missed == ()
    assert "what is marked in the response is left out of the spans" in read.understood.remarks


def test_other_tags_are_told_by_the_user():
    row = {"problem": "12*12?", "reasoning": "a <hard>b</hard> c\nd"}
    assert marked(row, HARD) == [["b"]]
    assert marked({**row, "reasoning": "a <bigmodel>b</bigmodel>"}, HARD)[0].startswith("untagged: no <hard>")
    assert not is_marked(row)
    assert is_marked(row, HARD)


def test_reasoning_and_response_in_columns_of_their_own_keep_their_sides():
    row = {"problem": "p", "reasoning_content": " a <hard>b</hard>\n", "response": "the <hard>end</hard>"}
    (trace,) = read_marked(row, HARD).value
    assert (trace.reasoning, passages(trace), trace.response) == (" a b\n", ["b"], "the end")


def test_tags_that_only_the_question_speaks_of_mark_nothing():
    problem = "12*12? Wrap hard lines in <bigmodel> and </bigmodel>."
    assert not is_marked({"problem": problem, "messages": chat(PLAIN, problem)})
    (trace,) = read_marked({"messages": chat(tagged(), problem)}).value
    assert trace.problem == problem


def test_a_chat_in_columns_of_turns_is_told_apart_as_well():
    asked = "12*12? Wrap hard lines in <bigmodel> and </bigmodel>."
    columnar = {"role": ["user", "assistant"], "content": [asked, tagged()]}
    (trace,) = read_marked({"messages": columnar}).value
    assert (trace.problem, passages(trace)) == (asked, [*BOTH])
    assert not is_marked({"messages": {**columnar, "content": [asked, PLAIN]}})


def test_the_plain_column_can_be_named_instead():
    plain = Reading(columns=(("generations", "generations"),))
    assert not is_marked(published(), plain)
    assert is_marked(published(), Reading(columns=(("messages", "messages"),)))
    renamed = published(annotated_generations=None, messages=None, hard=[tagged()])
    assert marked(renamed, Reading(columns=(("annotated", "hard"),))) == [[*BOTH]]


def test_an_annotated_trace_of_ours_is_what_it_is():
    trace = AnnotatedTrace(
        id="t", problem="p", answer="1", reasoning="abc", spans=(HardSpan(start=0, end=1, score=2.0),), annotator="llm"
    )
    for read in (read_marked, read_annotated):
        assert read(trace.to_dict()).value == [trace]
    assert records_of(trace.to_dict()) == [trace]


def test_a_row_that_nobody_marked_is_no_annotated_trace():
    with pytest.raises(SchemaError, match="neither spans nor tags"):
        read_annotated({"problem": "p", "reasoning": "r"})
    with pytest.raises(SchemaError, match="expected a record of kind 'annotated_trace', got 'trace'"):
        read_annotated(Trace(id="t", problem="p", answer="1", reasoning="r").to_dict())


def test_records_of_any_kind_and_rows_of_any_layout_can_be_looked_at():
    problem = Problem(id="a", problem="p", answer="1")
    assert records_of(problem.to_dict()) == [problem]
    assert [type(one) for one in records_of(published())] == [AnnotatedTrace]
    plain = published(annotated_generations=None, messages=None, correctness_math_verify=None)
    assert [type(one) for one in records_of(plain)] == [Trace]
    with pytest.raises(SchemaError, match="unclosed"):
        records_of(published(annotated_generations=[tagged(passages=["Yes."], closing="")]))
    with pytest.raises(SchemaError, match="unknown record kind 'x'"):
        records_of({"kind": "x"})
