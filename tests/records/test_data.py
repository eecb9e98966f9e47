import dataclasses

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.records.data import KINDS, SCHEMA, AnnotatedTrace, GrpoStep, Problem, SchemaError, Trace, read_any

TRACE = {"kind": "trace", "schema": 1, "id": "t", "problem": "p", "answer": "4", "reasoning": "r", "response": ""}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(), lambda inner: st.lists(inner, max_size=3)
)


def test_a_record_survives_the_round_trip():
    assert Trace.from_dict(TRACE).to_dict() == TRACE


@given(st.dictionaries(st.text(min_size=1).filter(lambda k: k not in TRACE), JSON, max_size=4))
def test_unknown_fields_are_kept_untouched(extra):
    assert orjson.loads(orjson.dumps(Trace.from_dict({**TRACE, **extra}).to_dict())) == {**TRACE, **extra}


def test_a_users_column_named_extra_is_a_column_like_any_other():
    assert Trace.from_dict({**TRACE, "extra": 3}).to_dict()["extra"] == 3


def test_a_missing_kind_counts_as_the_expected_one():
    assert Problem.from_dict({"id": "a", "problem": "p", "answer": "1"}).kind == "problem"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"problem": None}, "field 'problem': expected str, got null"),
        ({"answer": 4}, "field 'answer': expected str, got int"),
        ({"kind": "problem"}, "expected a record of kind 'trace', got 'problem'"),
        ({"schema": SCHEMA + 1}, "upgrade srx"),
    ],
)
def test_a_wrong_field_is_named(change, message):
    with pytest.raises(SchemaError, match=message):
        Trace.from_dict({**TRACE, **change})


def test_a_step_that_an_older_srx_logged_can_be_read():
    value = {"kind": "grpo_step", "schema": 1, "step": 1, "loss": 0.0, "learning_rate": 0.0, "reward": 0.8}
    value |= {"accuracy": 0.9, "share": 0.1, "spans": 1.0, "span_tokens": 3.0, "closed": 1.0, "price": 1.0}
    step = GrpoStep.from_dict(value)
    assert (step.price_paid, step.unclosed, step.tokens, step.warning) == (None, None, None, "")


def test_a_missing_field_is_named_also_inside_a_list():
    with pytest.raises(SchemaError, match="field 'reasoning' is missing"):
        Trace.from_dict({k: v for k, v in TRACE.items() if k != "reasoning"})
    value = {**TRACE, "kind": "annotated_trace", "annotator": "a", "spans": [{"start": 0, "end": 1}]}
    with pytest.raises(SchemaError, match=r"field 'score' of 'spans\[0\]' is missing"):
        AnnotatedTrace.from_dict(value)


@pytest.mark.parametrize("value", [[], "text", 3, None, {"kind": "unheard"}, {}])
def test_what_is_no_record_is_refused(value):
    with pytest.raises(SchemaError):
        read_any(value)


def test_every_kind_is_a_frozen_dataclass_under_its_own_name():
    for kind, cls in KINDS.items():
        assert cls.kind == kind
        assert dataclasses.is_dataclass(cls)
        assert cls.__dataclass_params__.frozen
