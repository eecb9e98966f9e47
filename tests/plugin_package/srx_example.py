"""One of each thing that srx takes from other packages. `pip install` this folder, then:

srx bench sums --policy 'every_line(2)' --systems split
srx annotate --annotator 'numbers(3)' --in traces.jsonl
srx train grpo --reward 'brief(0.5)' --in problems.jsonl
"""

import re
from dataclasses import dataclass

from splitreason_cli.annotating.annotators.base import Annotator, annotated
from splitreason_cli.records.data import HardSpan, Problem
from splitreason_cli.split.policies.arguments import number, positional
from splitreason_cli.split.policies.base import Policy
from splitreason_cli.split.signals import Signal
from splitreason_cli.tasks.base import Task
from splitreason_cli.training.rewards.base import Reward, Worth


@dataclass
class EveryLine(Policy):
    """`every_line(2)`: the big model writes the first two tokens of every line."""

    name = "every_line"
    needs = frozenset({Signal.TEXT})
    span_tokens: int

    @classmethod
    def parse(cls, context, arguments):
        (span_tokens,) = positional(arguments, "tokens", defaults=("2",))
        return cls(number(int, "tokens", span_tokens, least=1))

    def opens(self, place):
        return bool(place.completion) and place.text(tail_tokens=1).endswith("\n")

    def closes(self, span):
        return len(span.ids) >= self.span_tokens


class Sums(Task):
    """Five additions, in the notation of task mini. What is not said here is as for any task."""

    max_tokens = 128

    def problems(self):
        for start in range(100, 200):
            steps = [f"{label}) +7" for label in "abcde"]
            yield Problem(id=f"sum-{start}", problem="\n".join([str(start), *steps, "f) .end"]), answer=str(start + 35))


class Numbers(Annotator):
    """`numbers(3)`: every number of at least three digits is hard."""

    def __init__(self, digits="3"):
        self.pattern = re.compile(rf"\d{{{int(digits)},}}")

    def annotate(self, traces):
        for trace in traces:
            found = self.pattern.finditer(trace.reasoning)
            yield annotated(trace, "numbers", [HardSpan(start=m.start(), end=m.end(), score=1.0) for m in found])


class Brief(Reward):
    """`brief(0.5)`: a right answer, less half an answer for every thousand tokens, whoever wrote them."""

    def __init__(self, price="1"):
        self.price = float(price)

    def worth(self, correct, rollout, price):
        return Worth(accuracy=float(correct), price_paid=self.price * rollout.tokens / 1000)
