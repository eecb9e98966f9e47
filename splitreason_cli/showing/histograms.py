"""Bins with round edges, and the charts drawn from them. numpy is imported where it counts, not with the module."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..records.markup import Span
from .measures import STEP

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

POSITION_BINS = 20
VALUE_BINS = 12


@dataclass(frozen=True)
class Chart:
    """Bars. A histogram has `edges`, one more than `heights`; other charts have a label for each bar instead.

    Bin k is `[edges[k], edges[k + 1])`, the last one closed; `whole` says that the numbers are whole. `y` says what
    `heights` are: a count, a share of all, or a mean; a bin without numbers has no mean, its height is None.
    """

    name: str
    group: str
    x: str
    y: str
    heights: tuple[float | None, ...]
    edges: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()
    whole: bool = False


def add_positions(bins: list[float], spans: Sequence[Span], length: int) -> None:
    """Add to each of equal `bins` over 0..`length` how many characters (or tokens) of `spans` lie in it.

    A character that a bin's edge cuts counts for both bins in part, so the sum over the bins is the spans' length.
    """
    count = len(bins)
    for start, end in spans:
        for k in range(start * count // length, (end * count - 1) // length + 1):
            bins[k] += max(0.0, min(end, (k + 1) * length / count) - max(start, k * length / count))


def bin_edges(low: float, high: float, *, whole: bool) -> tuple[float, ...]:
    """Edges at round numbers, of at most about `VALUE_BINS` bins that hold all of [low, high].

    The width is 1, 2 or 5 times a power of ten; at least 1 if the numbers are `whole`, and then `high` opens a bin of
    its own rather than closing the last one.
    """
    spread = high - low
    if spread <= 1e-9 * max(abs(low), abs(high)):
        spread = abs(low) or 1.0
    raw = max(spread / VALUE_BINS, 1e-300)
    power = 10.0 ** math.floor(math.log10(raw))
    width = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw)
    if whole:
        width = max(1.0, width) if high > low else 1.0
    first = math.floor(low / width)
    last = math.floor(high / width) + 1 if whole else max(math.ceil(high / width), first + 1)
    # 15 digits turn 0.30000000000000004 back into 0.3.
    return tuple(float(f"{k * width:.15g}") for k in range(first, last + 1))


def histogram(name: str, group: str, values: "NDArray[np.float64]") -> Chart:
    """How many of `values`, shape (n,) with n > 0, lie in each bin."""
    import numpy as np

    edges, whole = _edges(values)
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    return Chart(name, group, name, "count", tuple(int(count) for count in counts), edges, whole=whole)


def over_steps(name: str, group: str, steps: "NDArray[np.float64]", values: "NDArray[np.float64]") -> Chart:
    """The mean of `values` in each bin of `steps`, both of shape (n,) with n > 0."""
    import numpy as np

    edges, whole = _edges(steps)
    counts, _ = np.histogram(steps, edges)
    sums, _ = np.histogram(steps, edges, weights=values)
    means = tuple(float(s / n) if n else None for s, n in zip(sums, counts, strict=True))
    return Chart(f"{name} over steps", group, STEP, "mean", means, edges, whole=whole)


def _edges(values: "NDArray[np.float64]") -> tuple[tuple[float, ...], bool]:
    whole = bool((values == values.round()).all())
    return bin_edges(float(values.min()), float(values.max()), whole=whole), whole
