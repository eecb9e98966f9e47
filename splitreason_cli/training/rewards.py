"""What a rollout is worth: the paper's rewards, and a correct answer less the price of the big model's share.

Akhauri et al. (arXiv:2504.16379) add up accuracy, format and tag count with equal weights. Their coverage term aims at
a share of .4 on purpose, and is of characters inside tags, whoever wrote them.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ..records import markup
from ..records.data import GrpoStep
from ..split.latency import Segments, Setup, alone_timing, pipelined_timing

TARGET_COVERAGE = 0.4
MOST_TAGS = 8
TAG_CREDIT = 1 / MOST_TAGS
PROPORTIONAL = 20
SCAFFOLD = (markup.THINK_OPEN, markup.THINK_CLOSE, "<answer>", "</answer>", r"\boxed{")
_SCAFFOLDED = re.compile(
    rf"\s*{re.escape(markup.THINK_OPEN)}.*{re.escape(markup.THINK_CLOSE)}\s*<answer>.*</answer>\s*", re.DOTALL
)


@dataclass(frozen=True)
class Reward:
    """What a rollout is worth, part by part; each rollout has either a price or the paper's further parts."""

    accuracy: float
    price_paid: float = 0.0
    format_bonus: float = 0.0
    tag_count: float = 0.0

    @property
    def total(self) -> float:
        return self.accuracy + self.format_bonus + self.tag_count - self.price_paid


def paper_reward(correct: bool, completion: str) -> Reward:
    """Akhauri et al.'s sum, of a completion with its tags."""
    return Reward(float(correct), format_bonus=paper_format(completion), tag_count=paper_tag_count(completion))


def paper_format(completion: str) -> float:
    """1 for the scaffold of thinking and answer, 1 more for tags that are nested and closed; none without any tag."""
    tags = completion.count(markup.OPEN) + completion.count(markup.CLOSE)
    return float(_SCAFFOLDED.fullmatch(completion) is not None) + float(tags > 0 and _is_balanced(completion))


def paper_tag_count(completion: str) -> float:
    """Credit for each part of the scaffold and each opening tag, the coverage, less a penalty for unequal tags.

    Opening tags earn an eighth each up to 8, and cost as much beyond. The paper gives no weights for the parts; each
    scaffold part earns a fifth, so that all of them are worth what 8 tags are.
    """
    opened, closed = completion.count(markup.OPEN), completion.count(markup.CLOSE)
    scaffold = sum(completion.count(part) == 1 for part in SCAFFOLD) / len(SCAFFOLD)
    tags = TAG_CREDIT * (min(opened, MOST_TAGS) - max(0, opened - MOST_TAGS))
    unequal = TAG_CREDIT * abs(opened - closed)
    return scaffold + tags + (paper_coverage(coverage(completion)) if opened else 0.0) - unequal


def paper_coverage(share: float) -> float:
    """Rises linearly from 0 to 1 at a share of .4, then falls linearly to -1 at 1."""
    if share <= TARGET_COVERAGE:
        return share / TARGET_COVERAGE
    return 1 - 2 * (share - TARGET_COVERAGE) / (1 - TARGET_COVERAGE)


def coverage(completion: str) -> float:
    """The share of a text's characters that stand inside tags; 0 where they are broken."""
    try:
        text, spans = markup.parse(completion)
    except markup.MarkupError:
        return 0.0
    return sum(end - start for start, end in spans) / len(text) if text else 0.0


def priced(correct: bool, cost: float, price: float) -> Reward:
    """A right answer less `price` times the cost of the big model's help, such as its share or `added_time`."""
    return Reward(float(correct), price_paid=price * cost)


def added_time(segments: Segments, setup: Setup, prompt_tokens: int) -> float:
    """How much longer than the small model alone the pair takes, in units of what the big model alone would add.

    0 is as quick as the small model, 1 as slow as the big one; many short spans may cost more than one long span of as
    many tokens. By the rates and the pipelining of `split.latency`. Where the big model is the quicker one it is 0.
    """
    small = alone_timing("small", segments, setup, prompt_tokens).seconds
    big = alone_timing("big", segments, setup, prompt_tokens).seconds
    pair = pipelined_timing(segments, setup, prompt_tokens).seconds
    return max(0.0, pair - small) / (big - small) if big > small else 0.0


@dataclass
class Price:
    """What offloading everything costs, in right answers, steered so that the mean share lands on `target`.

    Proportional and integral control of a Lagrange multiplier (Stooke et al. 2020, arXiv:2007.03964). A batch pays the
    multiplier, and in proportion to how far its mean share is off; then the multiplier moves by a twentieth of that.
    The multiplier alone answers too late: a policy that is priced out of asking never learns what asking is good for.
    Far below the target the price is negative, a bonus for asking.

    Args:
        target: mean offload share to land on, 0..1; None keeps the price as it is.
        rate: what the multiplier rises by after a batch of twice the target, in right answers for every `target` of
            tokens.
    """

    multiplier: float = 1.0
    target: float | None = None
    rate: float = 0.005

    def of_batch(self, mean_share: float) -> float:
        """The price for one batch with this mean share; moves the multiplier."""
        if self.target is None:
            return self.multiplier
        step = self.rate / self.target * max(-1.0, min(1.0, mean_share / self.target - 1))
        price = self.multiplier + PROPORTIONAL * step
        self.multiplier += step
        return price


def collapse(share: float, opens: int, closed: float, target: float | None = None) -> str:
    """The known way in which a policy has collapsed, judged by one batch; empty if it has not.

    Args:
        share: of the big model's tokens, 0..1. opens: spans that the policy began. closed: the share of them that it
            closed itself, 0..1. target: the share that is to be reached, if one is.
    """
    if not opens:
        return "it never hands over"
    if target and share < target / 4:
        return "it hardly ever hands over, less than a quarter of the budget"
    if share > 0.9:
        return "it hands everything over"
    if opens >= 8 and closed < 0.1:
        return "it hands over and never takes back"
    return ""


def first_warnings(steps: Iterable[GrpoStep]) -> dict[str, int]:
    """Each warning of a run, and the step that it first came at."""
    first: dict[str, int] = {}
    for step in steps:
        if step.warning:
            first.setdefault(step.warning, step.step)
    return first


def _is_balanced(completion: str) -> bool:
    try:
        markup.parse(completion)
    except markup.MarkupError:
        return False
    return True
