"""Statistics of records, kind by kind: summaries, charts and tallies. Only numbers are kept, not records."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from ..records.data import JsonObject, Record
from .histograms import POSITION_BINS, Chart, add_positions, histogram, over_steps
from .measures import GROUP_BY, STEP, measure
from .numbers import Numbers

NAMED_MALFORMED = 5
SHOWN_LABELS = 20


@dataclass(frozen=True)
class Summary:
    """One measure of one group: `n` numbers, their mean, median, 10th and 90th percentile (linear), and range.

    All but `n` are None where there is no number.
    """

    measure: str
    group: str
    n: int
    mean: float | None
    median: float | None
    p10: float | None
    p90: float | None
    min: float | None
    max: float | None


@dataclass(frozen=True)
class LabelTally:
    """How often each label occurred, most frequent first."""

    tally: str
    group: str
    counts: dict[str, int]

    def chart(self) -> Chart:
        """The most frequent labels as bars, the rest as one bar."""
        top, rest = list(self.counts.items())[:SHOWN_LABELS], list(self.counts.values())[SHOWN_LABELS:]
        if rest:
            top.append((f"{len(rest):,} others", sum(rest)))
        labels, heights = zip(*top, strict=True)
        return Chart(self.tally, self.group, self.tally, "count", heights, labels=labels)


@dataclass(frozen=True)
class Malformed:
    """A record without usable spans, and why."""

    id: str
    reason: str


@dataclass(frozen=True)
class KindStatistics:
    """Everything about the records of one kind.

    `group_by` names what their groups are, None if there are none. `malformed` counts the records whose spans cannot be
    used, which are in `records` and in no measure; `malformed_examples` names the first few.
    """

    kind: str
    records: int
    malformed: int
    malformed_examples: tuple[Malformed, ...]
    group_by: str | None
    measures: tuple[Summary, ...]
    charts: tuple[Chart, ...]
    tallies: tuple[LabelTally, ...]

    def panels(self) -> list[Chart]:
        """All that is drawn of this kind: its charts, and its tallies as bars."""
        return [*self.charts, *(tally.chart() for tally in self.tallies)]


@dataclass
class _Group:
    values: dict[str, Numbers] = field(default_factory=lambda: defaultdict(Numbers))
    tallies: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    positions: list[float] = field(default_factory=lambda: [0.0] * POSITION_BINS)


@dataclass
class _Kind:
    records: int = 0
    malformed: int = 0
    malformed_examples: list[Malformed] = field(default_factory=list)
    groups: dict[str, _Group] = field(default_factory=lambda: defaultdict(_Group))


class Distributions:
    """Takes records of any kind one at a time and summarises each kind by itself."""

    def __init__(self) -> None:
        self._kinds: dict[str, _Kind] = defaultdict(_Kind)

    def add(self, record: Record) -> None:
        """Count a record in."""
        taken = measure(record)
        kind = self._kinds[record.kind]
        kind.records += 1
        if taken.malformed:
            kind.malformed += 1
            if len(kind.malformed_examples) < NAMED_MALFORMED:
                kind.malformed_examples.append(Malformed(getattr(record, "id", ""), taken.malformed))
        group = kind.groups[taken.group]
        for name, numbers in taken.values.items():
            group.values[name].extend(numbers)
        for name, counts in taken.tallies.items():
            group.tallies[name].update(counts)
        add_positions(group.positions, taken.spans, taken.length)

    def statistics(self) -> list[KindStatistics]:
        """The statistics of each kind, in the order in which the kinds first came."""
        return [_statistics(name, kind) for name, kind in self._kinds.items()]


def _statistics(name: str, kind: _Kind) -> KindStatistics:
    groups = kind.groups.items()
    summaries = [_summary(m, group, values) for group, held in groups for m, values in held.values.items()]
    if name in ("bench_result", "bench_comparison", "latency", "simulation", "artifact"):
        charts = _means_by_group([summary for summary in summaries if summary.n])
    else:
        charts = [chart for group, held in groups for chart in _group_charts(group, held)]
    tallies = [
        LabelTally(tally, group, dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))))
        for group, held in groups
        for tally, counts in held.tallies.items()
        if counts.total()
    ]
    return KindStatistics(
        kind=name,
        records=kind.records,
        malformed=kind.malformed,
        malformed_examples=tuple(kind.malformed_examples),
        group_by=GROUP_BY.get(name),
        measures=tuple(summaries),
        charts=tuple(charts),
        tallies=tuple(tallies),
    )


def _summary(name: str, group: str, held: Numbers) -> Summary:
    import numpy as np

    numbers = held.values()
    if not len(numbers):
        return Summary(name, group, 0, None, None, None, None, None, None)
    low, p10, median, p90, high = (float(q) for q in np.percentile(numbers, (0, 10, 50, 90, 100)))
    return Summary(name, group, len(numbers), float(numbers.mean()), median, p10, p90, low, high)


def _group_charts(group: str, held: _Group) -> list[Chart]:
    charts = []
    if total := sum(held.positions):
        edges = tuple(k / POSITION_BINS for k in range(POSITION_BINS + 1))
        shares = tuple(height / total for height in held.positions)
        charts.append(Chart("span position", group, "relative position in the text", "share of length", shares, edges))
    steps = held.values[STEP].values() if STEP in held.values else None
    for name, numbers in held.values.items():
        values = numbers.values()
        # What is 0 throughout needs no picture.
        if name == STEP or not values.any():
            continue
        # A measure that some steps have not logged stands beside no step.
        beside = steps if steps is not None and len(steps) == len(values) else None
        charts.append(histogram(name, group, values) if beside is None else over_steps(name, group, beside, values))
    return charts


def _means_by_group(summaries: Sequence[Summary]) -> list[Chart]:
    by_measure: dict[str, list[Summary]] = defaultdict(list)
    for summary in summaries:
        by_measure[summary.measure].append(summary)
    return [
        Chart(
            name,
            "",
            name,
            "mean",
            heights=tuple(summary.mean for summary in rows),
            labels=tuple(summary.group for summary in rows),
        )
        for name, rows in by_measure.items()
    ]


def to_dict(statistics: KindStatistics) -> JsonObject:
    """The statistics as a JSON object; edges and labels only where a chart has them."""
    value = asdict(statistics)
    for chart in value["charts"]:
        del chart["labels" if chart["edges"] else "edges"]
    return value
