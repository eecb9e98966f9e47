import pytest

from splitreason_cli.measuring.log_named import renamed
from splitreason_cli.measuring.log_rows import samples_of
from splitreason_cli.records.data import SchemaError

ROW = {"frage": "1+5?", "prediction": "5", "text_out": "\\boxed{6}", "expected_answer": "7", "meta": {"gold": 6}}
NAMED = (("problem", "frage"), ("answer", "meta.gold"), ("completion", "text_out"))


def test_named_columns_of_a_log_go_before_those_it_would_be_read_by():
    samples = samples_of(renamed(ROW, NAMED))
    assert (samples.question, samples.gold) == ("1+5?", ("answer", 6))
    assert [one.text for one in samples.completions] == ["\\boxed{6}"]


def test_several_completions_of_a_row_can_be_named():
    row = {"problem": "1+5?", "answer": 6, "rolls": ["a", "b"], "verdicts": [True, False]}
    samples = samples_of(renamed(row, (("generations", "rolls"), ("correct", "verdicts"))))
    assert [(one.text, one.label) for one in samples.completions] == [("a", 1.0), ("b", 0.0)]


def test_a_named_column_that_a_log_lacks_is_an_error():
    with pytest.raises(SchemaError, match="column 'out' of --columns completion=out is missing"):
        renamed(ROW, (("completion", "out"),))


def test_without_names_a_row_is_what_it_was():
    assert renamed(ROW, ()) is ROW
