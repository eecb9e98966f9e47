import pytest

from splitreason_cli.records.data import Problem
from splitreason_cli.tasks.matching import ProblemIndex

SHORT, LONG = (
    Problem(id=name, problem=text, answer="1") for name, text in (("s", "Find x."), ("l", "Given.\nFind x."))
)
INDEX = ProblemIndex([SHORT, LONG])


@pytest.mark.parametrize(
    ("name", "question", "found"),
    [
        ("s", None, SHORT),
        ("s", "Solve this:  Given. Find x. Box it.", SHORT),
        (None, "Solve this:  Given. Find x. Box it.", LONG),
        ("elsewhere", "Find  x.", SHORT),
        ("l", "Find x.", SHORT),
        ("l", "Find y.", None),
        (None, None, None),
        ("elsewhere", None, None),
    ],
)
def test_a_problem_is_found_by_its_id_unless_its_text_belies_it_else_by_its_text(name, question, found):
    assert INDEX.find(name, question) == found
