"""What a system of a benchmark is. A new one is a class in a file beside this one and a line in `systems.named`."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

from ...calls import read_call
from ...decoding.plugins import load_policies, policy_source
from ...errors import UsageError
from ...records.data import Author, BenchResult, Generation
from ...split.policies import Policy, PolicyContext, make_policy
from ...tasks.base import Task
from ...tasks.named import task_of


@dataclass(frozen=True)
class Sample:
    """What a system may know of the sample that it makes a policy for.

    Args:
        number: which sample of its problem this is, from 0. problem: the problem's id.
        seed: of whatever the policy draws; that of the sampling is another one.
    """

    number: int
    problem: str
    seed: int
    task: Task


class SplitRun(Protocol):
    """A finished run of `split`, for systems that take their measure from it."""

    @property
    def result(self) -> BenchResult: ...

    @property
    def generations(self) -> Iterable[Generation]: ...

    def entropies(self) -> Sequence[float]:
        """How uncertain the small model alone is, in nats, token by token on the first problems; measured once."""
        ...


class System(ABC):
    """One line of the table: who writes, by which policy, under which cap.

    Attributes:
        name: in tables and records.
        authors: the models that it asks.
        needs_oracle: whether it asks the oracle of the task.
        copies: whether it takes its measure from a run of `split`; there is one for each of those.
        hint: what to do where a copy is wanted without `split`.
        offload_budget: what names the run, a share 0..1; None for a run without.
    """

    name: str
    authors: ClassVar[tuple[Author, ...]] = ("small", "big")
    needs_oracle: ClassVar[bool] = False
    copies: ClassVar[bool] = False
    hint: ClassVar[str] = "Add split to --systems"
    offload_budget: float | None = None

    @property
    def cap(self) -> float | None:
        """The most big tokens / all tokens over the run. A copy has none, which would make it a weaker baseline."""
        return None

    @property
    @abstractmethod
    def policy_name(self) -> str:
        """How the results call its policy."""

    @property
    def needs_tags(self) -> bool:
        """Whether the small model must know the tags."""
        return False

    def check(self, task: str) -> None:
        """Raises UsageError if the system cannot run on the task of this name."""
        if self.needs_oracle and task_of(task).oracle is None:
            raise UsageError(f"task {task!r} has no oracle", f"Leave system {self.name!r} out")

    def settings(self) -> dict[str, Any]:
        """What its results depend on, beside models, problems and sampling: part of their key in the store."""
        return {"name": self.name, "offload_budget": self.offload_budget, "policy": self.policy_name}

    @abstractmethod
    def policy(self, sample: Sample) -> Policy:
        """The policy object of one sample. Raises ValueError."""

    @classmethod
    def copy_of(cls, split: SplitRun) -> Self:
        """The system that takes its measure from this run. Only of those that copy."""
        raise NotImplementedError(f"{cls.__name__} copies nothing")


@dataclass(frozen=True)
class WrittenSystem(System):
    """A system that runs a policy written as text, such as `relay(16,64)`. Raises ValueError where that is none."""

    name: str
    text: str
    offload_budget: float | None = None

    @property
    def policy_name(self) -> str:
        return self.text

    @property
    def needs_tags(self) -> bool:
        return make_policy(self.text, load_policies(), PolicyContext()).tagged

    def settings(self) -> dict[str, Any]:
        source = policy_source(read_call(self.text)[0])
        return {**super().settings(), **({"policy_source": source} if source else {})}

    def policy(self, sample: Sample) -> Policy:
        return make_policy(self.text, load_policies(), PolicyContext(sample.seed))
