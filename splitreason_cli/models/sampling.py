"""How the next token is drawn from logits, and what a policy may be told of its distribution."""

import math
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..split.signals import Prediction, Signal

if TYPE_CHECKING:
    from torch import Tensor

TOP_LOGPROBS = 20
"""How many of the likeliest tokens are told: the most that vLLM gives by default."""


@dataclass(frozen=True)
class Sampling:
    """`temperature` 0 is greedy. `top_p` keeps the smallest set of tokens with at least that probability."""

    temperature: float = 0.0
    top_p: float = 1.0


GREEDY = Sampling()


def sample(logits: "Tensor", sampling: Sampling, rngs: Sequence[random.Random]) -> list[int]:
    """One token for each row of `logits` [n, vocabulary], drawn by that row's random state."""
    import torch

    if sampling.temperature == 0 or not rngs:
        return list(logits.argmax(-1).tolist())
    probabilities = (logits / sampling.temperature).softmax(-1)
    if sampling.top_p < 1:
        ordered, tokens = probabilities.sort(dim=-1, descending=True)
        dropped = ordered.cumsum(-1) - ordered >= sampling.top_p
        probabilities = probabilities.scatter(-1, tokens, ordered.masked_fill(dropped, 0))
    cumulative = probabilities.cumsum(-1)
    target = torch.tensor([[rng.random()] for rng in rngs], device=logits.device) * cumulative[:, -1:]
    choice = torch.searchsorted(cumulative, target, right=True).clamp(max=logits.shape[-1] - 1)
    return list(choice.squeeze(-1).tolist())


def forbid(logits: "Tensor", forbidden: Sequence[Collection[int]]) -> "Tensor":
    """`logits` [n, vocabulary] with the tokens that each of the n rows must not write at -inf."""
    places = [(row, token) for row, tokens in enumerate(forbidden) for token in tokens]
    if not places:
        return logits
    logits = logits.clone()
    index, tokens = zip(*places, strict=True)
    logits[list(index), list(tokens)] = -math.inf
    return logits


def predictions_of(logits: "Tensor", needs: Collection[Signal]) -> list[Prediction]:
    """What policies with these needs are told of the rows of `logits` [n, vocabulary], each at temperature 1."""
    probabilities = logits.softmax(-1)
    entropies = (-probabilities.xlogy(probabilities).sum(-1)).tolist()
    if Signal.TOP_LOGPROBS not in needs:
        return [Prediction(entropy) for entropy in entropies]
    top = logits.log_softmax(-1).topk(min(TOP_LOGPROBS, logits.shape[-1]), dim=-1)
    pairs = zip(top.indices.tolist(), top.values.tolist(), strict=True)
    likeliest = [tuple(zip(tokens, logprobs, strict=True)) for tokens, logprobs in pairs]
    return [Prediction(entropy, tops) for entropy, tops in zip(entropies, likeliest, strict=True)]


def entropy_of_top(logprobs: Sequence[float]) -> float:
    """A lower bound in nats of a distribution's entropy, from the natural-log probabilities of its likeliest outcomes.

    What they leave of the probability counts as one outcome; it is the entropy itself if they leave none.
    """
    probabilities = [math.exp(logprob) for logprob in logprobs]
    rest = max(0.0, 1.0 - math.fsum(probabilities))
    return -math.fsum(p * math.log(p) for p in (*probabilities, rest) if p > 0)
