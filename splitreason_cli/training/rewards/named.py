"""The rewards that have a name. To add one, write a class like that of `rewards.share` and a line here."""

from ...plugins import Registry, parse_call
from ...split.latency import Setup
from .base import Reward
from .paper import PaperReward
from .share import ShareReward
from .time import TimeReward

REWARDS: Registry[type[Reward]] = Registry(
    "reward",
    "srx.rewards",
    {
        "share": ShareReward,
        "time": TimeReward,
        "paper": PaperReward,
    },
    Reward,
)


def make_reward(text: str, setup: Setup) -> Reward:
    """The reward written as a name, maybe with arguments in parentheses. Raises UsageError, MachineError."""
    name, arguments = parse_call(text)
    return REWARDS.find(name).make(text, arguments, setup)


def reward_inputs(text: str) -> dict[str, str]:
    """What results depend on where a package adds the reward: the digest of its code. Nothing for ours."""
    source = REWARDS.source(parse_call(text)[0])
    return {"reward": source} if source else {}
