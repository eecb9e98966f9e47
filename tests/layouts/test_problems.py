import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.layouts.problems import problem_of, read_problem
from splitreason_cli.layouts.reading import Reading
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
        ({"ID": "2024-I-1"}, "2024-I-1"),
        ({"id": 3.0}, "3"),
        ({}, "row-7"),
    ],
)
def test_the_id_is_the_datasets_own_or_made_of_the_position(columns, name):
    assert problem_of({"problem": "p", "answer": "1", **columns}, 7).id == name


@pytest.mark.parametrize(
    "row",
    [
        {"question": "1+5?", "answer": "Add 1 and 5.\nThat is six.\n#### 6"},
        {"question": "1+5?", "final_answer": "6", "difficulty": 4.5, "topic": "t", "r1_solution_1": "hm</think>6"},
        {"ID": "2024-I-1", "Problem": "1+5?", "Solution": "Add: \\boxed{6}", "Answer": 6},
        {"problem": "1+5?", "expected_answer": "6", "problem_type": "has_answer_extracted", "generated_solution": "x"},
        {"problem": "1+5?", "level": "Level 1", "type": "Algebra", "solution": "Not \\boxed{5}, but \\boxed{6}."},
        {"problem": "1+5?", "solution": "Add.\n#### 6"},
        {"problem": "1+5?", "solution": "#### Step 1\nAdd.\n#### Step 2\nFrame \\boxed 6"},
        {"question": "1+5?", "solution": "6", "cot_type": "math", "thinking_trajectories": ["hm"]},
        {"id": 0, "question": "1+5?", "answer": 6.0, "url": "u"},
        {"question": "1+5?", "final_answer": ["6"], "context": None},
        {"problem": "1+5?", "answer": [6]},
        {"data_source": "d", "prompt": [{"role": "user", "content": "1+5?"}], "reward_model": {"ground_truth": "6"}},
        {"prompt": [{"role": "user", "content": "1+5?"}], "reward_model": {"ground_truth": ["6"], "style": "rule"}},
        {"messages": [{"role": "user", "content": "1+5?"}], "ground_truth": "6"},
        {"question": "1+5?", "correct_answer": 6},
        {"question": "1+5?", "answer": "6", "messages": [{"role": "user", "content": "1+1?"}] * 3},
        {"question": "1+5?", "answer": "Six, I think", "expected_answer": "6"},
        {"kind": "problem", "id": "a", "problem": "1+5?", "answer": "6", "final_answer": "7", "choices": ["5"]},
    ],
)
def test_the_columns_of_benchmarks_are_known(row):
    problem = problem_of(row, 1)
    assert (problem.problem, problem.answer) == ("1+5?", "6")


def test_any_other_columns_can_be_named():
    reading = Reading((("problem", "task"), ("answer", "meta.value"), ("id", "key")))
    row = {"task": "1+5?", "meta": {"value": 6}, "key": "k", "problem": "other", "choices": ["5", "6"]}
    problem = problem_of(row, 1, reading)
    assert (problem.id, problem.problem, problem.answer) == ("k", "1+5?", "6")


def test_what_was_understood_is_said():
    read = read_problem({"question": "q", "final_answer": "6"}, 1)
    assert read.understood.line(1) == "problem <- question, answer <- final_answer"


@given(st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False)))
def test_a_number_is_taken_as_text_and_a_whole_one_without_a_point(answer):
    text = problem_of({**ROW, "answer": answer}, 1).answer
    assert float(text) == answer
    assert ("." in text or "e" in text) == (answer != int(answer))


def test_truth_is_an_answer():
    assert problem_of({**ROW, "answer": True}, 1).answer == "True"


no_numbers = st.sampled_from([float("nan"), float("inf")])
several = st.lists(st.text(), min_size=2)


@given(st.one_of(no_numbers, several, st.dictionaries(st.text(), st.text(), min_size=1)))
def test_an_answer_of_any_other_type_is_refused_by_name(answer):
    with pytest.raises(SchemaError, match=r"field 'answer': expected a text or a number, got .*; give the one right"):
        problem_of({**ROW, "answer": answer}, 1)


TURNS = [
    {"role": "user", "content": "1+5?"},
    {"role": "assistant", "content": "6"},
    {"role": "user", "content": "and 2+5?"},
]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (3, "a row is a JSON object, got int"),
        (
            {"problem": "p", "Antwort": "1"},
            "no column holds the answer; the row has problem, Antwort. Name it: --columns",
        ),
        ({"answer": "1"}, "no column holds the problem; the row has answer"),
        ({**ROW, "problem": None}, "field 'problem': expected a text, got null"),
        ({**ROW, "problem": " \n"}, "field 'problem' is empty"),
        ({**ROW, "problem": 3}, "field 'problem': expected a text, got int"),
        ({**ROW, "answer": ""}, "field 'answer' is empty"),
        ({**ROW, "answer": None}, "field 'answer': expected a text or a number, got null"),
        ({"problem": "p", "solution": "It is six, as one can see."}, "no column holds the answer"),
        ({"input": "Print 6", "output": "<think>a</think>b", "solution": "print(6)"}, "no column holds the answer"),
        ({**ROW, "id": 1.5}, "field 'id': an id is a text or an integer, got float"),
        ({**ROW, "kind": "generation"}, "expected rows of problems, got a record of kind 'generation'"),
        ({"question": "Which?", "choices": ["a", "b"], "answer": 1}, "field 'choices' is part of the question"),
        ({"question": "Which?", "A": "a", "B": "b", "answer": "A"}, "field 'B' is part of the question"),
        ({"question": "What is here?", "image": "x.png", "answer": "A"}, "field 'image' is part of the question"),
        ({"prompt": TURNS, "answer": "7"}, "its turns: user, assistant, user"),
        ({"messages": TURNS, "answer": "7"}, "the chat goes on after a solution"),
        (
            {"messages": TURNS[:1], "reasoning": "hm", "answer": "A long response", "model": "r1"},
            "no column holds the answer",
        ),
    ],
)
def test_a_row_that_is_no_problem_is_refused_with_the_field(row, message):
    with pytest.raises(SchemaError, match=message):
        problem_of(row, 1)


def test_a_dataset_may_have_a_kind_of_its_own():
    assert problem_of({**ROW, "kind": "algebra", "schema": "v2"}, 1).to_dict()["kind"] == "problem"


def test_an_answer_written_as_a_json_list_of_one_is_what_it_holds():
    row = {"prompt": [{"role": "user", "content": "1+5?"}], "reward_model": {"ground_truth": '["6"]'}}
    assert problem_of(row, 1).answer == "6"
    assert problem_of({"question": "q", "answer": "[1, 2]"}, 1).answer == "[1, 2]"
    with pytest.raises(SchemaError, match="got a list of 2"):
        problem_of({"question": "q", "answer": '["6", "7"]'}, 1)


def test_a_question_that_needs_its_picture_is_not_whole():
    with pytest.raises(SchemaError, match="'image_1' is part of the question"):
        problem_of({"question": "q", "final_answer": ["6"], "image_1": {"bytes": "x"}}, 1)


def test_a_chat_that_states_its_answer_is_a_problem():
    user = {"role": "user", "content": "1+5?", "info": {"reference_answer": "6"}}
    assert problem_of({"messages": [user]}, 1).answer == "6"
