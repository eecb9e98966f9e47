import dataclasses

from splitreason_cli.records.data import ArtifactInfo, Code
from splitreason_cli.store.differences import described, differences

ONE = ArtifactInfo(
    key="1",
    stage="bench",
    created="2026-11-22T00:00:00+00:00",
    records=1,
    bytes=1,
    path="1",
    config={"seed": 0, "system": {"name": "split", "offload_budget": None}, "extra": {}},
    inputs={"problems": "aa"},
    code="c1",
    sources={"a.py": "1", "b.py": "1"},
    libraries={"torch": "2.13.0", "vllm": None},
)


def test_whatever_is_not_the_same_is_named_in_the_order_of_what_made_it():
    other = dataclasses.replace(
        ONE,
        key="2",
        created="later",
        records=9,
        config={"seed": 1, "system": {"name": "split", "offload_budget": 0.05}},
        inputs={"problems": "bb", "big": "x"},
        code="c2",
        sources={"b.py": "2", "c.py": "1"},
        libraries={"torch": "2.13.1", "vllm": "0.31.0", "trl": "1.16.0"},
        begun=(Code(sources={}, libraries={}),),
    )
    assert list(differences(ONE, other)) == [
        ("config.seed", "0 -> 1"),
        ("config.system.offload_budget", "null -> 0.05"),
        ("config.extra", "{} -> absent"),
        ("inputs.problems", '"aa" -> "bb"'),
        ("inputs.big", 'absent -> "x"'),
        ("code a.py", "removed"),
        ("code b.py", "changed"),
        ("code c.py", "added"),
        ("library torch", "2.13.0 -> 2.13.1"),
        ("library trl", "not used -> 1.16.0"),
        ("library vllm", "not installed -> 0.31.0"),
        ("begun with", f"this code -> {other.begun[0].digest}"),
    ]
    assert list(differences(ONE, ONE)) == []


def test_of_artifacts_that_kept_no_sources_only_the_code_differs():
    other = dataclasses.replace(ONE, code="c2", sources={}, libraries={})
    assert list(differences(ONE, other)) == [("code", "c1 -> c2, of an srx that did not keep which files")]


def test_many_files_are_counted():
    old, new = (Code(sources=dict.fromkeys("abcdef", value), libraries={}) for value in ("1", "2"))
    assert described(old, new) == "a, b, c and 3 more"
    assert described(old, dataclasses.replace(old, libraries={"trl": None})) == "trl not used -> not installed"
