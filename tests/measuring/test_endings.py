"""What more than 5 % of completions lack is said."""

import pytest

from splitreason_cli.measuring.endings import endings
from tests.made_up_run import result


@pytest.mark.parametrize(
    ("changed", "lines"),
    [
        ({"unanswered": 5, "truncated": 5}, 0),
        ({"unanswered": 6, "truncated": 5}, 1),
        ({"unanswered": 6, "truncated": 6}, 2),
        ({"unanswered": None, "truncated": None}, 0),
        ({"completions": None, "unanswered": 9, "truncated": 9}, 0),
        ({"completions": 0, "unanswered": 0, "truncated": 0}, 0),
    ],
)
def test_a_warning_begins_above_5_per_cent(changed, lines):
    assert len([*endings(result(**{"completions": 100, **changed}))]) == lines


def test_a_warning_has_the_numbers_and_the_remedy():
    box, cut = endings(result(budget=0.05, completions=500, unanswered=264, truncated=30))
    assert box == (
        "split ≤5%: 264 of 500 completions (52.8%) have no answer in a box, which is graded wrong; --extract auto "
        "takes what such a completion says last"
    )
    assert cut.startswith("split ≤5%: 30 of 500 completions (6.0%) were cut at the token limit; a higher --max-tokens")
    (loose,) = endings(result(completions=500, unanswered=264, truncated=0, extract="auto"))
    assert "--extract" not in loose
