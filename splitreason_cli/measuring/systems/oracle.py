"""Hand-overs exactly where the task knows that help is needed: what a learned policy can reach at most."""

from dataclasses import dataclass
from typing import ClassVar

from ...split.policies import Pattern, Policy
from .base import Sample, System


@dataclass(frozen=True)
class OracleSystem(System):
    """For tasks that have an oracle, such as mini: the lines that the small model was not taught."""

    name = "oracle"
    policy_name = "pattern"
    needs_oracle: ClassVar[bool] = True

    def policy(self, sample: Sample) -> Policy:
        oracle = sample.task.oracle
        assert oracle is not None, "checked before the run"
        return Pattern(oracle.needs_big, oracle.span)
