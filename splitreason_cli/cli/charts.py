"""Statistics as text for a terminal: a table, then bars that survive a pipe and a terminal without colour."""

import itertools
from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..showing.distributions import KindStatistics, Summary
from ..showing.histograms import Chart

EIGHTHS = " ▏▎▍▌▋▊▉█"
BAR_CHARACTERS = 18
HISTOGRAM_CHARACTERS = 39
"""So wide is a histogram; as many stand side by side as the terminal has room for, two of them on 80 characters."""

COLUMNS = ("mean", "median", "p10", "p90", "min", "max")


def render(kind: KindStatistics, width: int) -> RenderableType:
    """One kind of record: headline, malformed records by name, table of measures, charts, in `width` characters."""
    lines = [Text(f"{kind.kind}, {kind.records:,} record{'s' * (kind.records != 1)}", style="bold")]
    if kind.malformed:
        lines.append(Text(f"{kind.malformed:,} malformed, left out of the measures:"))
        lines += [Text(f"  {bad.id}: {bad.reason}") for bad in kind.malformed_examples]
        if more := kind.malformed - len(kind.malformed_examples):
            lines.append(Text(f"  and {more:,} more"))
    table = [_table(kind.measures, kind.group_by)] if kind.measures else []
    panels = kind.panels()
    histograms = [_chart(chart) for chart in panels if chart.edges]
    # Labels may be long, so each of the other charts gets the whole width.
    others = [_chart(chart) for chart in panels if not chart.edges]
    return Group(*lines, *table, *_side_by_side(histograms, max(1, width // HISTOGRAM_CHARACTERS)), *others)


def bar(share: float) -> str:
    """A bar of `share` times the full length, to an eighth of a character; nothing but 0 and less is invisible."""
    eighths = max(1, round(8 * BAR_CHARACTERS * min(share, 1.0))) if share > 0 else 0
    return (EIGHTHS[8] * (eighths // 8) + EIGHTHS[eighths % 8]).rstrip()


def number(value: float | None) -> str:
    """A short number: three digits below 1, else four; large ones by thousands, millions and so on."""
    if value is None:
        return "-"
    size = abs(value)
    if size < 1:
        return f"{value:.3g}"
    if size < 9_999.5 or size >= 1e15:
        return f"{value:.4g}"
    power = next(power for power in (1, 2, 3, 4, 5) if size < 999.95 * 1000**power)
    return f"{value / 1000**power:.4g}{' kMGTP'[power]}"


def _table(summaries: Sequence[Summary], group_by: str | None) -> Table:
    table = Table(box=box.SIMPLE, padding=(0, 0, 0, 1), pad_edge=False)
    if group_by:
        table.add_column(group_by, overflow="fold")
    table.add_column("measure")
    for column in ("n", *COLUMNS):
        table.add_column(column, justify="right", no_wrap=True)
    for row in summaries:
        names = [Text(row.group), Text(row.measure)] if group_by else [Text(row.measure)]
        table.add_row(*names, f"{row.n:,}", *(number(getattr(row, column)) for column in COLUMNS))
    return table


def _side_by_side(charts: Sequence[RenderableType], columns: int) -> list[Table]:
    rows = [charts[k : k + columns] for k in range(0, len(charts), columns)]
    grids = []
    for row in rows:
        grid = Table.grid(padding=(0, 1))
        for _ in row:
            grid.add_column(width=HISTOGRAM_CHARACTERS - 1, vertical="top")
        grid.add_row(*row)
        grids.append(grid)
    return grids


def _chart(chart: Chart) -> RenderableType:
    bars = Table.grid(padding=(0, 1))
    bars.add_column(justify="right" if chart.edges else "left")
    bars.add_column(width=BAR_CHARACTERS, no_wrap=True)
    bars.add_column(justify="right", no_wrap=True)
    longest = max((height for height in chart.heights if height is not None), default=0.0)
    total = sum(height or 0.0 for height in chart.heights)
    for name, height in zip(_bin_names(chart) if chart.edges else chart.labels, chart.heights, strict=True):
        drawn = bar(height / longest) if height and longest > 0 else ""
        share = f" ({(height or 0) / total:.1%})" if chart.y == "count" and not chart.edges and total else ""
        bars.add_row(Text(name), Text(drawn, style="cyan"), Text(number(height) + share))
    title = chart.name + (f", {chart.group}" if chart.group else "")
    detail = "" if chart.y == "count" else f" ({chart.y})"
    return Group(Text(f"{title}{detail}", style="bold"), bars, Text())


def _bin_names(chart: Chart) -> list[str]:
    """What each bin of a histogram holds; whole numbers are named first to last, a bin of one by that number."""
    names = []
    for low, high in itertools.pairwise(chart.edges):
        last = high - 1 if chart.whole else high
        names.append(number(low) if chart.whole and low == last else f"{number(low)}–{number(last)}")
    return names
