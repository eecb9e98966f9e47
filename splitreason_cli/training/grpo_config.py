"""What a run of GRPO is made with."""

from dataclasses import dataclass, field

from ..decoding.remote import RemoteConfig
from ..errors import UsageError
from ..models.sides import Side
from ..split.latency import PAPER_BIG, PAPER_SMALL, Rates, Setup
from .lora import require_rank
from .policy_engine import COLOCATED, PolicyEngineConfig
from .rewards.named import make_reward


@dataclass(frozen=True)
class TrainGrpoConfig:
    """`prompts` problems an optimizer step, each sampled `num_generations` times; at most `per_device_batch_size`
    completions at a time in the backward pass of each device.

    `rollout` is `split`, where the big model writes the spans, or `solo`, where the small one writes them too and the
    paper's reward applies unless another `reward` is named. `closing` is `sampled`, a decision that is trained, or
    `argmax`, which is not.

    `offload_budget` is the mean share that the price of the big model's help is moved to; None keeps `price`, in right
    answers for offloading everything. `cost` is what the price is of: the `share` of the tokens, or the added `time`
    at the models' `small_rates` and `big_rates` (prefilled and decoded tokens a second). `temperature` is that of
    rollouts, both models' and that of closing.

    With `use_vllm` vLLM generates for the small model. It draws as it likes, so that a seed does not fix a run.

    With a `lora_rank` adapters of that rank are trained and merged into the model at the end, scaled by
    `lora_alpha` / `lora_rank`; without an alpha by 2.

    `columns` say which columns of the problems hold what, see `layouts.reading`.

    Raises UsageError for an alpha without a rank, and for a budget of 0.
    """

    model: str = "mini-split"
    big: str = "mini-big"
    rollout: str = "split"
    closing: str = "sampled"
    max_steps: int = 500
    prompts: int = 8
    num_generations: int = 14
    per_device_batch_size: int = 16
    learning_rate: float = 1e-6
    warmup: float = 0.1
    temperature: float = 0.7
    max_tokens: int = 4096
    max_span_tokens: int | None = None
    offload_budget: float | None = None
    price: float = 1.0
    price_rate: float = 0.005
    cost: str = "share"
    reward: str | None = None
    small_rates: Rates = PAPER_SMALL
    big_rates: Rates = PAPER_BIG
    beta: float = 0.0
    hint: bool = True
    save_steps: int = 50
    seed: int = 0
    use_vllm: bool = False
    lora_rank: int = 0
    lora_alpha: int | None = None
    columns: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        require_rank(self.lora_rank, self.lora_alpha)
        if self.offload_budget == 0:
            raise UsageError("a budget of 0 leaves nothing to learn", "Give a share above 0, or none and a --price")
        if self.reward:
            make_reward(self.reward, self.setup)

    @property
    def setup(self) -> Setup:
        """The rates that rewards may reckon with."""
        return Setup(self.small_rates, self.big_rates)

    @property
    def rewarded(self) -> str:
        """The reward as it is written: the one that is named, else that of the rollouts."""
        return self.reward or ("paper" if self.rollout == "solo" else self.cost)


@dataclass(frozen=True)
class Servers:
    """Who answers for a model that is not in this process, and how hard that is asked; no part of what a run learns.

    Args:
        big: how the URLs in `TrainGrpoConfig.big` are opened, if it holds any.
        remote: how hard they are asked.
        engine: where the small model generates if `TrainGrpoConfig.use_vllm`.
    """

    big: Side | None = None
    remote: RemoteConfig = field(default_factory=RemoteConfig)
    engine: PolicyEngineConfig = COLOCATED


NO_SERVERS = Servers()
