"""Sampled completions of a policy with the big model in the loop, and the policy's decisions in them."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ..decoding.rows import Request, Row
from ..errors import EndpointError, ModelError
from ..models.loading import text_of
from ..models.pair import Pair
from ..models.tokenizing import end_of_text
from ..records.data import Author
from ..split.decisions import Decided, Role, decided
from ..split.policies import Sampled


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


class RowDecoder(Protocol):
    """What decodes the rows of a batch, exploring: in lockstep here, or by an engine.

    Attributes:
        pair: the policy and the big model.
    """

    pair: Pair

    def rows(self, requests: Sequence[Request]) -> list[Row]:
        """Decode all requests together and return what became of them, in order."""
        ...


class RolloutDecoder:
    """Samples rollouts of a policy with the big model in the loop.

    A row for which the big model fails ends there, with nothing decided in it.

    Args:
        decoder: at the temperature of both models' words and of the decision to close.
        sample_closing: whether closing is a sampled decision. If not, spans are closed where the tag is the likeliest
            token, and nothing inside them counts as decided.

    Raises ModelError if the two models have different vocabularies or the small one does not know the tags.
    """

    def __init__(self, decoder: RowDecoder, *, sample_closing: bool = True) -> None:
        self.decoder, self.pair = decoder, decoder.pair
        if self.pair.vocabularies is not None:
            names = f"{self.pair.small.name} and {self.pair.big.name}"
            raise ModelError(f"{names} have different vocabularies", "GRPO needs one of both")
        self._tags = self.pair.small.tag_ids()
        self._sample_closing = sample_closing

    def rollouts(self, problems: Sequence[str], seeds: Sequence[str]) -> list[Rollout]:
        """A rollout of each problem; equal seeds give equal rollouts of one policy."""
        policies = [Sampled(random.Random(f"{seed}/close"), argmax=not self._sample_closing) for seed in seeds]
        requests = [
            Request(problem, policy, f"{seed}/words")
            for problem, policy, seed in zip(problems, policies, seeds, strict=True)
        ]
        rows = self.decoder.rows(requests)
        return [self._rollout(row, policy) for row, policy in zip(rows, policies, strict=True)]

    def _rollout(self, row: Row, policy: Sampled) -> Rollout:
        controller = row.controller
        ids = self._completion(row)
        found = decided(ids, *self._tags, [logprob or 0.0 for _, logprob in row.words], policy.decisions)
        is_told = all(logprob is not None for _, logprob in row.words)
        return Rollout(
            prompt_ids=tuple(controller.small_prompt),
            completion_ids=tuple(ids),
            logprobs=tuple(0.0 if row.failed else one.logprob or 0.0 for one in found) if is_told else (),
            decided=tuple(int(not row.failed and self._is_decided(one)) for one in found),
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
            failed=row.failed,
        )

    def _completion(self, row: Row) -> list[int]:
        """What the small model has read behind its prompt, and the end of text if it was written."""
        controller = row.controller
        ids = controller.context["small"][len(controller.small_prompt) :]
        if controller.finish_reason == "stop":
            ids.append(end_of_text(self.pair.big.tokenizer) if controller.ended_in_span else row.words[-1][0])
        return ids

    def _is_decided(self, one: Decided) -> bool:
        return one.logprob is not None and (self._sample_closing or one.role is Role.FREE)


def answered(rollouts: Sequence[Rollout]) -> tuple[list[Rollout], str]:
    """The rollouts that the big model did not fail, and a line about the others if there are any.

    Raises EndpointError if it failed all that asked it.
    """
    failed = [one for one in rollouts if one.failed]
    if not failed:
        return list(rollouts), ""
    if len(failed) == sum(one.spans > 0 for one in rollouts):
        hint = "Start it again, then run the command again: it goes on from the last checkpoint"
        raise EndpointError(f"the big model does not answer ({failed[0].failed})", hint)
    warning = f"{len(failed)} of {len(rollouts)} rollouts left out, the big model failed ({failed[0].failed})"
    return [one for one in rollouts if not one.failed], warning
