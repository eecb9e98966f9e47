"""Rollouts as the paper makes them: the small model writes everything, the spans too."""

import random
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from ..models.cached import CachedModel
from ..models.loading import LoadedModel, text_of
from ..models.sampling import Sampling, sample
from ..split.decisions import Role, roles
from .rollouts import Rollout

if TYPE_CHECKING:
    from ..records.data import Author


class SoloDecoder:
    """Samples completions of one model that may write tags, without ever asking the other.

    What stands between its tags is counted as the big model's, so that shares compare with those of real hand-overs.
    Raises ModelError if the model does not know the tags.
    """

    def __init__(self, small: LoadedModel, max_tokens: int, temperature: float, *, hint: bool) -> None:
        self.small, self.max_tokens, self.sampling, self.hint = small, max_tokens, Sampling(temperature), hint
        self._tags = small.tag_ids()

    def rollouts(self, problems: Sequence[str], seeds: Sequence[str]) -> list[Rollout]:
        """A rollout of each problem; equal seeds give equal rollouts of one policy."""
        prompts = [self.small.prompt_ids(problem, hint=self.hint) for problem in problems]
        rngs = [random.Random(seed) for seed in seeds]
        written: list[list[int]] = [[] for _ in prompts]
        unread = list(prompts)
        model = CachedModel(self.small, len(prompts))
        running = list(range(len(prompts)))
        while running:
            model.keep(running)
            read = [len(model.read[row]) for row in running]
            logits = model.next_logits(running, [unread[row] for row in running], read)
            for row, token in zip(running, sample(logits, self.sampling, [rngs[row] for row in running]), strict=True):
                written[row].append(token)
                unread[row] = [token]
            running = [row for row in running if not self._ended(written[row])]
        return [self._rollout(prompt, ids) for prompt, ids in zip(prompts, written, strict=True)]

    def _ended(self, ids: Sequence[int]) -> bool:
        return ids[-1] in self.small.token_ids.end_of_text or len(ids) >= self.max_tokens

    def _rollout(self, prompt: Sequence[int], ids: Sequence[int]) -> Rollout:
        controls = {*self._tags, *self.small.token_ids.end_of_text}
        written: list[tuple[Author, int]] = [
            ("small" if role is Role.FREE else "big", token)
            for token, role in zip(ids, roles(ids, *self._tags), strict=True)
            if token not in controls
        ]
        segments = [
            (author, tuple(token for _, token in run)) for author, run in groupby(written, key=lambda one: one[0])
        ]
        return Rollout(
            prompt_ids=tuple(prompt),
            completion_ids=tuple(ids),
            logprobs=(),
            decided=(1,) * len(ids),
            text=text_of(self.small, [token for _, token in written]),
            tagged_text=text_of(self.small, ids),
            tokens=len(written),
            big_tokens=sum(author == "big" for author, _ in written),
            spans=ids.count(self._tags[0]),
            closed_spans=ids.count(self._tags[1]),
            cut_spans=0,
            refused=0,
            ended_in_span=ids.count(self._tags[0]) > ids.count(self._tags[1]),
            finish_reason="stop" if ids[-1] in self.small.token_ids.end_of_text else "length",
            segments=tuple(segments),
        )
