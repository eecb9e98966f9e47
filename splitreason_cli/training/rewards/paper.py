"""The paper's rewards: accuracy, format and tag count with equal weights (Akhauri et al., arXiv:2504.16379).

Their coverage term aims at a share of .4 on purpose, and is of characters inside tags, whoever wrote them.
"""

import re
from typing import TYPE_CHECKING

from ...records import markup
from .base import Reward, Worth

if TYPE_CHECKING:
    from ..rollouts import Rollout

TARGET_COVERAGE = 0.4
MOST_TAGS = 8
TAG_CREDIT = 1 / MOST_TAGS
SCAFFOLD = (markup.THINK_OPEN, markup.THINK_CLOSE, "<answer>", "</answer>", r"\boxed{")
_SCAFFOLDED = re.compile(
    rf"\s*{re.escape(markup.THINK_OPEN)}.*{re.escape(markup.THINK_CLOSE)}\s*<answer>.*</answer>\s*", re.DOTALL
)


class PaperReward(Reward):
    """Has no price; made for rollouts in which the small model writes the spans too."""

    def worth(self, correct: bool, rollout: "Rollout", price: float) -> Worth:
        return paper_reward(correct, rollout.tagged_text)


def paper_reward(correct: bool, completion: str) -> Worth:
    """Akhauri et al.'s sum, of a completion with its tags."""
    return Worth(float(correct), format_bonus=paper_format(completion), tag_count=paper_tag_count(completion))


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


def _is_balanced(completion: str) -> bool:
    try:
        markup.parse(completion)
    except markup.MarkupError:
        return False
    return True
