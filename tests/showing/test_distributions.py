import orjson
import pytest

from splitreason_cli.records.data import (
    ArtifactInfo,
    BenchResult,
    Generation,
    GrpoStep,
    Problem,
    Rejected,
    SftExample,
    TrainStep,
)
from splitreason_cli.showing.distributions import NAMED_MALFORMED, SHOWN_LABELS, Distributions, to_dict


def statistics(*records):
    distributions = Distributions()
    for record in records:
        distributions.add(record)
    return distributions.statistics()


def example(completion, record_id="a"):
    return SftExample(id=record_id, split="train", prompt=(), completion=completion)


def test_each_kind_is_reported_by_itself():
    kinds = statistics(example("ab"), Problem(id="p", problem="2+2", answer="4"), example("abc"))
    assert [(kind.kind, kind.records) for kind in kinds] == [("sft_example", 2), ("problem", 1)]


def test_a_summary_describes_the_numbers():
    (kind,) = statistics(*(Problem(id="p", problem="x" * n, answer="") for n in range(11)))
    (length,) = kind.measures
    assert (length.n, length.mean, length.median, length.min, length.max) == (11, 5, 5, 0, 10)
    assert (length.p10, length.p90) == (1, 9)


def test_span_positions_are_shares_of_all_spans():
    (kind,) = statistics(example("<bigmodel>a</bigmodel>" + "b" * 19), example("b" * 18 + "<bigmodel>aa</bigmodel>"))
    (position,) = (chart for chart in kind.charts if chart.name == "span position")
    assert position.heights[0] == pytest.approx(1 / 3)
    assert position.heights[18] == position.heights[19] == pytest.approx(1 / 3)
    assert sum(position.heights) == pytest.approx(1)
    assert (position.edges[0], position.edges[-1]) == (0, 1)


def test_records_without_spans_have_no_span_chart():
    (kind,) = statistics(example("ab"), example(""))
    by_name = {summary.measure: summary for summary in kind.measures}
    assert by_name["span, characters"].n == 0
    assert by_name["span, characters"].mean is None
    assert by_name["share in spans"].n == 1
    assert [chart.name for chart in kind.charts] == ["completion, characters"]


def test_malformed_records_are_counted_named_and_not_measured():
    bad = [example("<bigmodel>", f"bad{n}") for n in range(NAMED_MALFORMED + 2)]
    (kind,) = statistics(example("ab"), *bad)
    assert (kind.records, kind.malformed) == (NAMED_MALFORMED + 3, NAMED_MALFORMED + 2)
    assert [named.id for named in kind.malformed_examples] == [f"bad{n}" for n in range(NAMED_MALFORMED)]
    assert {summary.n for summary in kind.measures} == {0, 1}


def test_systems_are_told_apart():
    def generation(system, tokens):
        return Generation(
            id="a",
            system=system,
            sample=0,
            problem="",
            answer="",
            segments=(),
            finish_reason="stop",
            correct=True,
            tokens=tokens,
            big_tokens=0,
            spans=0,
            refused=0,
            cut=0,
            unclosed=0,
            seconds=0,
        )

    (kind,) = statistics(generation("small", 10), generation("big", 30), generation("small", 20))
    assert kind.group_by == "system"
    means = {s.group: s.mean for s in kind.measures if s.measure == "completion, tokens"}
    assert means == {"small": 15, "big": 30}
    answers = {tally.group: tally.counts for tally in kind.tallies if tally.tally == "answer"}
    assert answers == {"small": {"right": 2}, "big": {"right": 1}}
    # Nothing was handed over, so there are no spans to be whole or cut.
    assert {tally.tally for tally in kind.tallies} == {"answer", "end of text"}


def test_results_and_artifacts_are_drawn_by_group():
    def result(system, score):
        return BenchResult(
            system=system,
            policy="",
            offload_budget=None,
            task="mini",
            problems=1,
            samples=1,
            pass_at_1=score,
            ci95=(0, 1),
            offload_share=0.1,
            tokens=1,
            big_tokens=0,
            seconds=0,
        )

    def artifact(stage, size):
        return ArtifactInfo(
            key="k", stage=stage, created="", records=1, bytes=size, path="", config={}, inputs={}, code=""
        )

    results, artifacts = statistics(
        result("small", 0.25), result("split", 0.5), artifact("bench", 10), artifact("bench", 20)
    )
    assert (results.charts[0].labels, results.charts[0].heights) == (("small", "split"), (0.25, 0.5))
    assert (artifacts.charts[1].labels, artifacts.charts[1].heights) == (("bench",), (15,))


def test_training_is_drawn_over_its_steps():
    (kind,) = statistics(*(TrainStep(step=n, loss=4.0 - n, learning_rate=0.0) for n in range(3)))
    # The rate is 0 throughout, which needs no picture.
    assert [(chart.name, chart.heights) for chart in kind.charts] == [("loss over steps", (4, 3, 2))]


def test_steps_that_lack_a_measure_do_not_keep_the_others_from_being_drawn():
    fields = {"loss": 0.0, "learning_rate": 0.0, "reward": 0.8, "accuracy": 0.9, "share": 0.1, "spans": 1.0}
    fields |= {"span_tokens": 3.0, "closed": 1.0, "price": 1.0}
    old, new = GrpoStep(step=1, **fields), GrpoStep(step=2, **fields, tokens=80.0, warning="it never hands over")
    [kind] = statistics(old, new)
    names = [chart.name for chart in kind.panels()]
    assert "reward over steps" in names
    assert "tokens" in names
    assert [tally.counts for tally in kind.tallies] == [{"it never hands over": 1}]


def test_a_long_tally_ends_in_the_sum_of_the_rest():
    names = [chr(ord("a") + n) for n in range(SHOWN_LABELS + 2)]
    (kind,) = statistics(*(Rejected(where="", reason=reason, line="") for reason in [*names, "a"]))
    (chart,) = kind.panels()
    assert (chart.labels[0], chart.heights[0]) == ("a", 2)
    assert (chart.labels[-1], chart.heights[-1]) == ("2 others", 2)
    assert len(kind.tallies[0].counts) == len(names)


def test_statistics_are_json():
    (kind,) = statistics(example("a<bigmodel>b</bigmodel>"))
    value = orjson.loads(orjson.dumps(to_dict(kind)))
    assert value["measures"][0]["measure"] == "share in spans"
    assert "labels" not in value["charts"][0]
    assert len(value["charts"][0]["edges"]) == len(value["charts"][0]["heights"]) + 1
