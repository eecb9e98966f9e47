import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.layouts.problems import problem_of
from splitreason_cli.records.data import Problem, SchemaError

ROW = {"id": 60, "problem": "1+1?", "answer": "2", "url": "u"}


def test_a_row_becomes_a_problem_and_its_other_columns_travel_along():
    assert problem_of(ROW, 1) == Problem(id="60", problem="1+1?", answer="2", extra={"url": "u"})


@pytest.mark.parametrize(
    ("columns", "name"),
    [
        ({"unique_id": "test/algebra/1.json"}, "test/algebra/1.json"),
        ({"problem_idx": 0}, "0"),
        ({"id": None, "uuid": "x"}, "x"),
        ({"id": "", "unique_id": "y"}, "y"),
        ({"id": "mine", "unique_id": "theirs"}, "mine"),
        ({}, "row-7"),
    ],
)
def test_the_id_is_the_datasets_own_or_made_of_the_position(columns, name):
    assert problem_of({"problem": "p", "answer": "1", **columns}, 7).id == name


@given(st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False)))
def test_a_number_is_taken_as_text(answer):
    assert problem_of({**ROW, "answer": answer}, 1).answer == str(answer)


no_numbers = st.sampled_from([float("nan"), float("inf")])


@given(st.one_of(st.none(), st.booleans(), no_numbers, st.lists(st.text()), st.dictionaries(st.text(), st.text())))
def test_an_answer_of_any_other_type_is_refused_by_name(answer):
    with pytest.raises(SchemaError, match=r"field 'answer': expected a text or a number, got .*; give the one right"):
        problem_of({**ROW, "answer": answer}, 1)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (3, "a row is a JSON object, got int"),
        ({"problem": "p", "Answer": "1"}, "field 'answer' is missing; the row has problem, Answer"),
        ({"answer": "1"}, "field 'problem' is missing"),
        ({**ROW, "problem": None}, "field 'problem': expected a text, got null"),
        ({**ROW, "problem": " \n"}, "field 'problem' is empty"),
        ({**ROW, "answer": ""}, "field 'answer' is empty"),
        ({**ROW, "id": 1.5}, "field 'id': an id is a text or an integer, got float"),
        ({**ROW, "kind": "generation"}, "expected rows of problems, got a record of kind 'generation'"),
    ],
)
def test_a_row_that_is_no_problem_is_refused_with_the_field(row, message):
    with pytest.raises(SchemaError, match=message):
        problem_of(row, 1)


def test_a_dataset_may_have_a_kind_of_its_own():
    assert problem_of({**ROW, "kind": "algebra", "schema": "v2"}, 1).to_dict()["kind"] == "problem"
