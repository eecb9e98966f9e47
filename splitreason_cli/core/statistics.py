"""What a benchmark may claim: means over problems, with intervals."""

import math
from collections.abc import Sequence

RESAMPLES = 10_000


def pass_at_1(correct: Sequence[Sequence[bool]]) -> float:
    """The mean over problems of the share of right samples; `correct[problem][sample]`. 0 without problems."""
    return sum(sum(samples) / len(samples) for samples in correct) / len(correct) if correct else 0.0


def bootstrap_ci95(correct: Sequence[Sequence[bool]], seed: int = 0) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of `pass_at_1`, resampling whole problems (10,000 times).

    Where all problems have the same score the bootstrap has no width, so the Wilson score interval of that many
    problems is returned instead (Wilson 1927). (0, 1) without problems.
    """
    import numpy as np
    from scipy import stats

    if not correct:
        return (0.0, 1.0)
    means = np.array([sum(samples) / len(samples) for samples in correct])
    if means.min() == means.max():
        interval = stats.binomtest(round(means.sum()), len(means)).proportion_ci(0.95, method="wilson")
    else:
        interval = stats.bootstrap(
            (means,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=np.random.default_rng(seed)
        ).confidence_interval
    return (float(interval.low), float(interval.high))


def entropy_of_top(logprobs: Sequence[float]) -> float:
    """A lower bound in nats of a distribution's entropy, from the natural-log probabilities of its likeliest outcomes.

    What they leave of the probability counts as one outcome; it is the entropy itself if they leave none.
    """
    probabilities = [math.exp(logprob) for logprob in logprobs]
    rest = max(0.0, 1.0 - math.fsum(probabilities))
    return -math.fsum(p * math.log(p) for p in (*probabilities, rest) if p > 0)
