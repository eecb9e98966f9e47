"""What a benchmark may claim: means over problems, their differences, with intervals."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RESAMPLES = 10_000
_MOST_NUMBERS = 5_000_000
"""How many numbers resampling holds in memory at once."""

Vote = tuple[str | None, bool | None]
"""A sample's normalised answer, None if it gave none, and its verdict, None if it has none."""


def pass_at_1(correct: Sequence[Sequence[bool]]) -> float:
    """The mean over problems of the share of right samples; `correct[problem][sample]`. 0 without problems."""
    return sum(sum(samples) / len(samples) for samples in correct) / len(correct) if correct else 0.0


def bootstrap_ci95(correct: Sequence[Sequence[bool]], seed: int = 0, resamples: int = RESAMPLES) -> tuple[float, float]:
    """The 95 % bootstrap interval (BCa, Efron 1987) of `pass_at_1`, resampling whole problems.

    BCa, as the percentile interval covers too little where few problems have skewed scores: 92 % for 30 problems of 16
    samples each, most all right or all wrong, where BCa covers 94 %. Where all problems have the same score the
    bootstrap has no width, so the Wilson score interval of that many problems is returned instead (Wilson 1927).
    (0, 1) without problems.
    """
    import numpy as np
    from scipy import stats

    if not correct:
        return (0.0, 1.0)
    means = np.array([sum(samples) / len(samples) for samples in correct])
    if means.min() == means.max():
        interval = stats.binomtest(round(means.sum()), len(means)).proportion_ci(0.95, method="wilson")
        return (float(interval.low), float(interval.high))
    return _bootstrap(means, "BCa", 0.95, seed, resamples)


@dataclass(frozen=True)
class PairedDifference:
    """`difference` in pass@1 over `problems` problems, its 95 % interval, the p-value of no difference, and the
    smallest difference that so many problems could show."""

    difference: float
    ci95: tuple[float, float]
    p_value: float
    problems: int
    smallest_detectable: float


def paired_difference(
    mine: Mapping[str, Sequence[bool]], theirs: Mapping[str, Sequence[bool]], seed: int = 0, resamples: int = RESAMPLES
) -> PairedDifference:
    """The difference in pass@1, mine less theirs, over the problems that both have; verdicts by problem.

    The interval is a percentile bootstrap over whole problems, widened for their number (Hesterberg 2015, "What
    Teachers Should Know About the Bootstrap"), as it would cover 92 % for 30 problems; BCa does worse where most
    differences are 0. Where all problems differ by the same, none are left to resample: the interval then allows for a
    share of unseen problems, as large as Wilson's for none in so many, that differ as much as can be. The p-value is
    that of a two-sided test that flips signs of problems: exact for up to 13 that differ, else of 10,000 seeded draws
    counted with the observed one (Phipson and Smyth 2010). Nothing is known, (-1, 1) and 1, without problems.
    """
    import numpy as np

    differences = np.array([pass_at_1([mine[name]]) - pass_at_1([theirs[name]]) for name in mine if name in theirs])
    if not len(differences):
        return PairedDifference(0.0, (-1.0, 1.0), 1.0, 0, math.inf)
    return PairedDifference(
        difference=float(differences.mean()),
        ci95=_difference_ci95(differences, seed, resamples),
        p_value=_sign_flip_p(differences, seed, resamples),
        problems=len(differences),
        smallest_detectable=smallest_detectable(differences.tolist()),
    )


def smallest_detectable(differences: Sequence[float], power: float = 0.8, level: float = 0.05) -> float:
    """The smallest difference in pass@1 that so many problems show with this power in a two-sided test at this level.

    (z(1 - level / 2) + z(power)) * s / sqrt(n), where s is the standard deviation of the observed differences by
    problem (Miller 2024, arXiv:2411.00640, on power). At least one problem is taken to differ by 1, as none that does
    proves little. Of single samples the sign-flip test finds somewhat fewer, as few outcomes make it cautious. Infinite
    for less than two problems.
    """
    import numpy as np
    from scipy import stats

    n = len(differences)
    if n < 2:
        return math.inf
    variance = max(float(np.var(differences, ddof=1)), 1 / n)
    return float(stats.norm.ppf(1 - level / 2) + stats.norm.ppf(power)) * math.sqrt(variance / n)


def maj_at_k(votes: Sequence[Sequence[Vote]]) -> float | None:
    """The share of problems whose most frequent answer is right; `votes[problem][sample]`.

    Of answers given equally often each wins in equal parts, which is what drawing one of them would give on average.
    Samples without an answer do not vote; a problem without any vote is wrong. Problems whose winners have no verdict
    are left out; None if none is left.
    """
    shares = [share for samples in votes if (share := _majority(samples)) is not None]
    return sum(shares) / len(shares) if shares else None


def _majority(samples: Sequence[Vote]) -> float | None:
    counts: Counter[str | None] = Counter(answer for answer, _ in samples if answer is not None)
    most = max(counts.values(), default=0)
    winners = [answer for answer in counts or [None] if counts[answer] == most]
    known = [[right for given, right in samples if given == winner and right is not None] for winner in winners]
    shares = [sum(verdicts) / len(verdicts) for verdicts in known if verdicts]
    return sum(shares) / len(shares) if shares else None


def _difference_ci95(differences: "NDArray[np.float64]", seed: int, resamples: int) -> tuple[float, float]:
    """`differences`: float array (problems,)."""
    from scipy import stats

    n, first = len(differences), float(differences[0])
    if differences.min() == differences.max():
        unseen = stats.norm.ppf(0.975) ** 2 / (n + stats.norm.ppf(0.975) ** 2)
        return (float(first - unseen * (1 + first)), float(first + unseen * (1 - first)))
    quantile = math.sqrt(n / (n - 1)) * stats.t.ppf(0.975, n - 1)
    return _bootstrap(differences, "percentile", float(1 - 2 * stats.norm.sf(quantile)), seed, resamples)


def _sign_flip_p(differences: "NDArray[np.float64]", seed: int, resamples: int) -> float:
    """`differences`: float array (problems,); those that are 0 have no sign to flip."""
    import numpy as np
    from scipy import stats

    signed = differences[differences != 0]
    if len(signed) < 2:
        return 1.0
    return float(
        stats.permutation_test(
            (signed,),
            np.sum,
            permutation_type="samples",
            n_resamples=resamples,
            batch=max(1, _MOST_NUMBERS // len(signed)),
            rng=np.random.default_rng(seed),
        ).pvalue
    )


def _bootstrap(
    values: "NDArray[np.float64]", method: str, level: float, seed: int, resamples: int
) -> tuple[float, float]:
    """`values`: float array (problems,), not all alike."""
    import numpy as np
    from scipy import stats

    interval = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=resamples,
        confidence_level=level,
        method=method,
        batch=max(1, _MOST_NUMBERS // len(values)),
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return (float(interval.low), float(interval.high))
