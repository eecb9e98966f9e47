"""Sampled completions of a policy with the big model in the loop, and the policy's decisions in them."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..decoding.lockstep import Request, SplitDecoder, forbidden
from ..errors import ModelError
from ..models.loading import text_of
from ..models.pair import Pair
from ..models.sampling import Sampling, forbid, sample
from ..models.tokenizing import end_of_text
from ..records.data import Author
from ..split.controller import SplitController
from ..split.decisions import Role, decided
from ..split.limits import Limits
from ..split.policies import Sampled

if TYPE_CHECKING:
    from torch import Tensor

    from ..decoding.lockstep import _Row


@dataclass(frozen=True)
class Rollout:
    """One completion as the small model read it, tags included, and the end of text if it was written.

    Attributes:
        logprobs: of each decision in nats, at the sampling temperature; 0 where there was none.
        decided: 1 where the policy decided, 0 where the token is somebody else's or a limit closed the span.
        text: without tags, as it is graded.
        tagged_text: with tags.
        closed_spans: those that the policy itself closed; `cut_spans` ended by a limit.
        segments: who wrote which token ids, tags not among them.
        failed: why the big model did not answer; nothing was decided then, and the text is cut there. Empty if it did.
    """

    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    decided: tuple[int, ...]
    text: str
    tagged_text: str
    tokens: int
    big_tokens: int
    spans: int
    closed_spans: int
    cut_spans: int
    refused: int
    ended_in_span: bool
    finish_reason: str
    segments: tuple[tuple[Author, tuple[int, ...]], ...]
    failed: str = ""

    @property
    def share(self) -> float:
        """Big tokens / tokens; 0 without any."""
        return self.big_tokens / self.tokens if self.tokens else 0.0


class RolloutDecoder(SplitDecoder):
    """Samples rollouts in process: both models in lockstep over the batch, every token read once by each.

    Args:
        temperature: of both models' words and of the decision to close.
        sample_closing: whether closing is a sampled decision. If not, spans are closed where the tag is the likeliest
            token, and nothing inside them counts as decided.

    Raises ModelError if the two models have different vocabularies or the small one does not know the tags.
    """

    def __init__(self, pair: Pair, limits: Limits, temperature: float, *, sample_closing: bool = True) -> None:
        super().__init__(pair, limits, Sampling(temperature))
        if pair.vocabularies is not None:
            names = f"{pair.small.name} and {pair.big.name}"
            raise ModelError(f"{names} have different vocabularies", "GRPO needs one of both")
        self._tags = pair.small.tag_ids()
        self._sample_closing = sample_closing
        self._words: dict[int, list[tuple[int, float]]] = {}

    def rollouts(self, problems: Sequence[str], seeds: Sequence[str]) -> list[Rollout]:
        """A rollout of each problem; equal seeds give equal rollouts of one policy."""
        self._words = {}
        policies = [Sampled(random.Random(f"{seed}/close"), argmax=not self._sample_closing) for seed in seeds]
        requests = [
            Request(problem, policy, f"{seed}/words")
            for problem, policy, seed in zip(problems, policies, seeds, strict=True)
        ]
        controllers = self.decode(requests)
        return [self._rollout(controller, policy) for controller, policy in zip(controllers, policies, strict=True)]

    def _choose(self, logits: "Tensor", rows: "list[_Row]") -> list[int]:
        import torch

        possible = forbid(logits, forbidden(rows))
        tokens = sample(possible, self.sampling, [row.rng for row in rows])
        if rows and rows[0].floor and rows[0].floor.author == "small":
            scores = (possible / self.sampling.temperature).log_softmax(-1)
            logprobs = scores.gather(-1, torch.tensor(tokens, device=scores.device)[:, None]).squeeze(-1).tolist()
            for row, token, logprob in zip(rows, tokens, logprobs, strict=True):
                self._words.setdefault(id(row.controller), []).append((token, logprob))
        return tokens

    def _close_signals(self, logits: "Tensor") -> list[tuple[float, bool]]:
        return super()._close_signals(logits / self.sampling.temperature)

    def _rollout(self, controller: SplitController, policy: Sampled) -> Rollout:
        words = self._words.get(id(controller), [])
        ids = controller.context["small"][len(controller.small_prompt) :]
        if controller.finish_reason == "stop":
            ids.append(end_of_text(self.pair.big.tokenizer) if controller.ended_in_span else words[-1][0])
        found = decided(ids, *self._tags, [logprob for _, logprob in words], policy.decisions)
        return Rollout(
            prompt_ids=tuple(controller.small_prompt),
            completion_ids=tuple(ids),
            logprobs=tuple(one.logprob or 0.0 for one in found),
            decided=tuple(
                int(one.logprob is not None and (self._sample_closing or one.role is Role.FREE)) for one in found
            ),
            text=self.pair.text(controller),
            tagged_text=text_of(self.pair.small, ids),
            tokens=len(controller.completion),
            big_tokens=controller.big_tokens,
            spans=controller.hand_overs,
            closed_spans=sum(one.role is Role.CLOSE and one.logprob is not None for one in found),
            cut_spans=controller.cut_spans,
            refused=controller.refused,
            ended_in_span=controller.ended_in_span,
            finish_reason=controller.finish_reason or "error",
            segments=tuple((author, tuple(ids)) for author, ids in controller.segments),
        )
