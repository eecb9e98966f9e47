"""The two models of a server, wherever they run: at URLs, as vLLM servers started here, or in this process."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..errors import EndpointError, UsageError
from ..store.embedded import EMBEDDED_MODELS
from ..store.keys import read_key
from .backend import Backend, BackendError, Served
from .connections import Timeouts
from .loading import LoadedModel, default_device, load_model, load_tokenizer_only
from .wire import ModelCard, parse_models

if TYPE_CHECKING:
    from .vllm_server import VllmServer

_ADDRESS = re.compile(r"(?:([a-z][a-z0-9_-]*)\+)?(https?://.*)")

Runtime = Literal["auto", "vllm", "in-process"]


@dataclass(frozen=True)
class Side:
    """One of the two models.

    Args:
        model: an embedded model, a folder, a Hugging Face name, or URLs of servers that serve it, separated by commas;
            each may have a name of `models.named` and a plus sign in front.
        tokenizer: where its tokenizer lies, if not where the model does or where its server says.
        api_key_env: name of the environment variable with the key of the URLs.
        gpu: devices of a vLLM server that is started here, such as `0` or `0,1`.
        vllm_args: further arguments of that server.
        served_name: under which the URLs serve the model; None for the first that they list.
        text_only: the URLs take and return text instead of token ids: the protocol `text`.

    Raises UsageError for what does not fit together.
    """

    model: str
    tokenizer: str | None = None
    api_key_env: str | None = None
    gpu: str | None = None
    vllm_args: tuple[str, ...] = ()
    served_name: str | None = None
    text_only: bool = False

    def __post_init__(self) -> None:
        if "://" in self.model and not self.urls:
            raise UsageError(f"{self.model}: not all of these are URLs", "Give one model, or URLs separated by commas")
        if not self.model.strip():
            raise UsageError("the name of a model is empty", "Give an embedded model, a folder, a name, or URLs")
        if (self.text_only or self.served_name) and not self.urls:
            raise UsageError(f"{self.model} is no URL", "Only URLs have a served name or know text only")
        if self.urls:
            self._check_protocol()
        if self.protocol == "text" and not self.tokenizer:
            raise UsageError("a server of text only needs a tokenizer named", "Give --big-tokenizer")

    @property
    def urls(self) -> tuple[str, ...]:
        """The addresses, without the protocol's name; empty for a model that is none."""
        return tuple(address for _, address in self._addresses())

    @property
    def protocol(self) -> str:
        """What the URLs speak: a name of `models.named`."""
        return next((name for name, _ in self._addresses() if name), "text" if self.text_only else "tokens")

    def _addresses(self) -> list[tuple[str, str]]:
        """(protocol's name, URL) of each; nothing if not all of them are URLs."""
        found = [_ADDRESS.fullmatch(part.strip()) for part in self.model.split(",")]
        return [(one[1] or "", one[2]) for one in found if one] if all(found) else []

    def _check_protocol(self) -> None:
        names = {name for name, _ in self._addresses()}
        if names == {""}:
            return
        from .named import PROTOCOLS

        if unknown := names - {"", *PROTOCOLS}:
            known = ", ".join(f"{name}+http://..." for name in PROTOCOLS)
            raise UsageError(f"{self.model}: unknown protocol {sorted(unknown)[0]!r}", f"Known are {known}")
        if len(names) > 1 or (self.text_only and names != {"text"}):
            raise UsageError(f"{self.model}: these speak different protocols", "Give URLs of one")


@dataclass(frozen=True)
class Running:
    """A side that can be asked: its backend, its tokenizer, and how many tokens it reads (None if unknown).

    `log` is where a server that was started here writes.
    """

    backend: Backend
    tokenizer: LoadedModel
    context_tokens: int | None
    log: Path | None = None


def start_pair(
    small: Side,
    big: Side,
    stack: ExitStack,
    *,
    runtime: Runtime = "auto",
    log_folder: Path = Path("srx-serve-logs"),
    on_status: Callable[[str], None] = lambda status: None,
) -> tuple[Running, Running]:
    """Both sides, which may be one object, vLLM servers loading at the same time. What was started ends with `stack`.

    Args:
        runtime: where models that are no URLs run; `auto` takes vLLM, but this process for the embedded ones.
        log_folder: where the vLLM servers write.

    Raises:
        ModelError: a model or tokenizer cannot be loaded.
        EndpointError: a given URL does not answer. MachineError: a vLLM server does not start.
    """
    sides = [small] if small is big else [small, big]
    as_vllm = [side for side in sides if not side.urls and _runtime(runtime, side) == "vllm"]
    logs = {id(big): log_folder / "big.log", id(small): log_folder / "small.log"}
    servers = _start_vllm(as_vllm, logs, stack, on_status) if as_vllm else {}
    thread = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="models"))
    running: dict[int, Running] = {}
    # What answers or fails at once comes first.
    for side in sorted(sides, key=lambda side: not side.urls):
        if side.urls:
            key = read_key(side.api_key_env, "--small-key-env or --big-key-env")
            running[id(side)] = connect(side, side.urls, key)
        elif id(side) in servers:
            server = servers[id(side)]
            running[id(side)] = replace(connect(side, (server.url,), server.api_key), log=server.log_path)
        else:
            on_status(f"loading {side.model}")
            running[id(side)] = _load(side, thread)
    return running[id(small)], running[id(big)]


def _runtime(runtime: Runtime, side: Side) -> str:
    if runtime != "auto":
        return runtime
    return "in-process" if side.model in EMBEDDED_MODELS else "vllm"


def _load(side: Side, thread: ThreadPoolExecutor) -> Running:
    from .in_process import InProcessBackend

    loaded = load_model(side.model, default_device())
    return Running(InProcessBackend(loaded, thread), loaded, loaded.model.config.max_position_embeddings)


def connect(side: Side, urls: tuple[str, ...], key: str | None, timeouts: Timeouts | None = None) -> Running:
    """A side at URLs, with the tokenizer that it names or its server does. Raises ModelError, EndpointError."""
    from .named import PROTOCOLS

    # A host of many models need not list them.
    name = side.served_name
    card = ModelCard(name) if side.protocol != "tokens" and name else _model_card(urls[0], key, name)
    loaded = load_tokenizer_only(side.tokenizer or (side.model if not side.urls else card.root or card.id))
    served = Served(urls, card.id, key, timeouts or Timeouts(), loaded)
    return Running(PROTOCOLS[side.protocol](served), loaded, card.max_model_len)


def served_as(side: Side) -> str:
    """What the first of a side's URLs says of the model: its name, what it was loaded from, how much it reads.

    All that is known of its weights. Raises EndpointError, UsageError.
    """
    if side.protocol != "tokens" and side.served_name:
        return side.served_name
    key = read_key(side.api_key_env, "--small-key-env or --big-key-env")
    card = _model_card(side.urls[0], key, side.served_name)
    return " ".join(str(part) for part in (card.id, card.root, card.max_model_len) if part)


def _model_card(url: str, key: str | None, name: str | None) -> ModelCard:
    """What a server says at `/v1/models` of the model of that name, or of its first one. Raises EndpointError."""
    import httpx

    from .vllm_http import base_url

    address = f"{base_url(url)}/models"
    try:
        answer = httpx.get(address, headers={"Authorization": f"Bearer {key}"} if key else {}, timeout=30)
        answer.raise_for_status()
        cards = parse_models(answer.content)
        card = cards[0] if name is None else next((card for card in cards if card.id == name), None)
    except (httpx.HTTPError, BackendError, ValueError, LookupError) as error:
        hint = "Check the URL, the key, and that the server is up"
        raise EndpointError(f"{address}: names no model ({type(error).__name__})", hint) from None
    if card is None:
        raise EndpointError(f"{address}: serves no {name}", f"It serves {', '.join(card.id for card in cards[:5])}")
    return card


def _start_vllm(
    sides: list[Side], logs: dict[int, Path], stack: ExitStack, on_status: Callable[[str], None]
) -> "dict[int, VllmServer]":
    from .vllm_server import VllmLaunch, VllmServer, interpreter, share_cores, wait_until_ready

    started: dict[int, VllmServer] = {}
    for side, cores in zip(sides, share_cores(len(sides)), strict=True):
        log = logs[id(side)]
        on_status(f"starting vLLM for {side.model}, log in {log}")
        launch = VllmLaunch(
            side.model, log, gpu=side.gpu, cpu_cores=cores, extra_args=side.vllm_args, python=interpreter()
        )
        started[id(side)] = stack.enter_context(VllmServer.start(launch))
    wait_until_ready(list(started.values()), lambda server, line: on_status(f"{server.model}: {line[-100:]}"))
    return started
