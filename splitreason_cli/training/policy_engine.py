"""The policy of a GRPO run as TRL's vLLM modes run it: an engine that gets the trainer's weights before each rollout.

Pinned to TRL 1.16: `VLLMGeneration.generate` samples by attributes of its object, which are set around each call.
"""

import contextlib
import importlib.util
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from ..errors import EndpointError, MachineError, ModelError, UsageError
from ..models.loading import default_device
from ..store.digests import installed
from . import ranks
from .protocols import VllmGeneration

START = 'Start it with: VLLM_SERVER_DEV_MODE=1 vllm serve MODEL --weight-transfer-config \'{"backend": "nccl"}\''

CHECK_SECONDS = 10.0


@dataclass(frozen=True)
class PolicyEngineConfig:
    """Where the engine runs: what changes the speed of a run, not what it learns.

    Args:
        mode: `colocate`, one on each rank's device beside the trainer, or `server`, one for all ranks.
        server_base_url: of the server.
        gpu_memory_utilization: the part of a device's memory that a colocated engine takes.
        context_tokens: the most that the engine reads; None where it reads what rollouts need.
        version: of vLLM, which is the one thing here that changes what a run learns; None until it is asked for. Of
            what else a server runs on nothing is known.
    """

    mode: str = "colocate"
    server_base_url: str = "http://127.0.0.1:8000"
    gpu_memory_utilization: float = 0.3
    context_tokens: int | None = None
    version: str | None = None

    def arguments(self) -> dict[str, object]:
        """As fields of TRL's `GRPOConfig`."""
        return {
            "use_vllm": True,
            "vllm_mode": self.mode,
            "vllm_server_base_url": self.server_base_url,
            "vllm_gpu_memory_utilization": self.gpu_memory_utilization,
            "vllm_max_model_length": self.context_tokens,
            # It compares the engine's log-probability of each token with the trainer's; ours are of decisions.
            "vllm_importance_sampling_correction": False,
        }


COLOCATED = PolicyEngineConfig()


def checked_engine(config: PolicyEngineConfig) -> PolicyEngineConfig:
    """This configuration with what vLLM, or the server if there is one, says of itself. Ask before any model is loaded.

    Raises UsageError without a GPU, MachineError if vLLM is not installed, EndpointError if the server does not answer
    or takes no weights.
    """
    if default_device() == "cpu":
        # A server gets them by NCCL, and an engine on a CPU has repacked its own beyond recognition.
        raise UsageError("--use-vllm needs a GPU: vLLM takes no new weights on a CPU", "Leave it out")
    if importlib.util.find_spec("vllm") is None:
        raise MachineError("--use-vllm: vLLM is not installed", "Install it: pip install 'splitreason-cli[vllm]'")
    if config.mode != "server":
        return replace(config, version=installed("vllm"))
    url = config.server_base_url.rstrip("/").removesuffix("/v1")
    context_tokens, version = _asked(url)
    return replace(config, server_base_url=url, context_tokens=context_tokens, version=version)


def _asked(url: str) -> tuple[int | None, str]:
    """How much a server reads, and its version of vLLM."""
    import httpx

    try:
        card = httpx.get(f"{url}/v1/models", timeout=CHECK_SECONDS).raise_for_status().json()["data"][0]
        info = httpx.get(f"{url}/server_info", params={"config_format": "json"}, timeout=CHECK_SECONDS)
        takes_weights = info.is_success and info.json()["vllm_config"]["weight_transfer_config"] is not None
        context: int | None = card.get("max_model_len")
        version = _version_of(url) if takes_weights else ""
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, LookupError, TypeError, AttributeError) as error:
        raise EndpointError(f"{url}: no vLLM server answers ({type(error).__name__})", START) from None
    if not takes_weights:
        raise EndpointError(f"{url}: the vLLM server takes no weights", START)
    return context, version


def _version_of(url: str) -> str:
    import httpx

    return str(httpx.get(f"{url}/version", timeout=CHECK_SECONDS).raise_for_status().json()["version"])


class PolicyEngine:
    """Samples continuations of token ids.

    Args:
        generation: TRL's `VLLMGeneration`.
        context_tokens: the most that it reads, None if that is not known.
        shared: whether all ranks share one engine. They then call every method together, each with what it has, which
            may be nothing; TRL wants equally many prompts of each.
    """

    def __init__(self, generation: VllmGeneration, context_tokens: int | None = None, *, shared: bool) -> None:
        self._generation, self._context_tokens = generation, context_tokens
        self._gather = ranks.gather if shared else list
        self._rank, self._size = (ranks.rank(), ranks.world_size()) if shared else (0, 1)

    def is_any(self, busy: bool) -> bool:
        """Whether this is so on any rank that shares the engine."""
        return any(self._gather([busy]))

    def generate(
        self,
        prompts: Sequence[list[int]],
        max_tokens: int,
        temperature: float,
        *,
        stop: Collection[int] = (),
        forbid: Collection[int] = (),
    ) -> list[list[int]]:
        """A continuation of each prompt, with the token of `stop` or the end of text that ended it.

        `max_tokens` is that of the rank that asks for most; a full context leaves fewer. Raises ModelError if it leaves
        none, or if a continuation is empty.
        """
        asked = self._gather([(list(prompts), max_tokens)])
        together = [ids for part, _ in asked for ids in part]
        if not together:
            return []
        limit = max(tokens for part, tokens in asked if part)
        if self._context_tokens is not None:
            limit = min(limit, self._context_tokens - max(map(len, together)))
            if limit < 1:
                hint = "Start the server with a larger --max-model-len, or lower --max-tokens"
                raise ModelError(f"vLLM reads {self._context_tokens:,} tokens, and a rollout needs more", hint)
        with self._sampling(limit, temperature, stop, forbid):
            _, written, _, _ = self._generation.generate(
                prompts=self._equal_part(together), images=None, num_generations=1
            )
        every = self._gather(written)
        if not all(every):
            # Asked again, it would write nothing again, for ever.
            raise ModelError("vLLM continued a prompt by no token", "Look into its log")
        first = sum(len(part) for part, _ in asked[: self._rank])
        return [list(ids) for ids in every[first : first + len(prompts)]]

    def _equal_part(self, prompts: list[list[int]]) -> list[list[int]]:
        """This rank's share of all prompts. The last one again fills up: another could write for longer than any."""
        size = -(-len(prompts) // self._size)
        padded = prompts + [prompts[-1]] * (size * self._size - len(prompts))
        return padded[self._rank * size : (self._rank + 1) * size]

    @contextlib.contextmanager
    def _sampling(
        self, max_tokens: int, temperature: float, stop: Collection[int], forbid: Collection[int]
    ) -> Iterator[None]:
        values: dict[str, object] = {
            "max_completion_length": max_tokens,
            "temperature": temperature,
            "logprobs": None,
            "generation_kwargs": {
                **(self._generation.generation_kwargs or {}),
                "stop_token_ids": sorted(stop),
                # The lowest that vLLM takes.
                "logit_bias": dict.fromkeys(forbid, -100.0) or None,
            },
        }
        before = {name: getattr(self._generation, name) for name in values}
        vars(self._generation).update(values)
        try:
            yield
        finally:
            vars(self._generation).update(before)
