"""TRL's `VLLMGeneration` for tests: a transformers model that honours the same attributes."""

import copy

import torch

from splitreason_cli.models.cached import CachedModel
from splitreason_cli.models.loading import LoadedModel


class FakeGeneration:
    """Generates with the weights that the model had at the last `sync_weights`.

    Attributes:
        calls: of `generate`, the numbers of prompts and the limit.
    """

    def __init__(self, model, processing_class=None, temperature=1.0, logprobs=0, generation_kwargs=None, **options):
        self.model, self.options = model, options
        self.max_completion_length = options.get("max_completion_length", 16)
        self.temperature, self.logprobs, self.generation_kwargs = temperature, logprobs, generation_kwargs or {}
        self.calls, self.syncs = [], 0
        self.random = torch.Generator().manual_seed(0)
        self.weights = copy.deepcopy(model).eval()

    def sync_weights(self):
        self.weights.load_state_dict(self.model.state_dict())
        self.syncs += 1

    def generate(self, prompts, images, num_generations, profiler=None):
        assert images is None
        assert num_generations == 1
        self.calls.append((len(prompts), self.max_completion_length))
        written = [[] for _ in prompts]
        cached = CachedModel(LoadedModel("fake", self.weights, None), len(prompts))
        running = list(range(len(prompts)))
        while running:
            logits = cached.next_logits(running, [prompts[row] + written[row] for row in running])
            for row, token in zip(running, self._draw(logits), strict=True):
                written[row].append(token)
            running = [row for row in running if not self._ended(written[row])]
        return prompts, written, None, None

    def _draw(self, logits):
        for token, bias in (self.generation_kwargs.get("logit_bias") or {}).items():
            logits[:, token] += bias
        if not self.temperature:
            return logits.argmax(-1).tolist()
        chances = (logits / self.temperature).softmax(-1)
        return torch.multinomial(chances, 1, generator=self.random)[:, 0].tolist()

    def _ended(self, ids):
        ends = self.weights.generation_config.eos_token_id
        stops = {*(ends if isinstance(ends, list) else [ends]), *self.generation_kwargs.get("stop_token_ids", [])}
        return ids[-1] in stops or len(ids) >= self.max_completion_length
