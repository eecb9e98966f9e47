"""serve: a small and a big model behind one OpenAI-compatible endpoint."""

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..decoding.pipelined import PipelineConfig
from ..decoding.plugins import load_policies, usable_policies
from ..errors import EndpointError, MachineError, UsageError
from ..models.backend import BackendError, BackendPair
from ..models.pair import Pair
from ..models.sides import Running, Runtime, Side, start_pair
from ..split.policies import Factory, PolicyContext, make_policy
from .http_api import ServerConfig, create_app
from .split_engine import EngineConfig, SplitEngine

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServeConfig:
    """What is served, and where. `hint` is that of `Pair`; `runtime` and `log_folder` are those of `start_pair`."""

    small: Side
    big: Side
    engine: EngineConfig
    hint: bool = True
    pipeline: PipelineConfig = field(default_factory=PipelineConfig)
    server: ServerConfig = field(default_factory=ServerConfig)
    runtime: Runtime = "auto"
    host: str = "127.0.0.1"
    port: int = 8000
    log_folder: Path = Path("srx-serve-logs")


def serve(config: ServeConfig, on_status: Callable[[str], None] = lambda status: None) -> None:
    """Serve until interrupted.

    Args:
        on_status: told what happens until the endpoint is ready, and where it is.

    Raises:
        MachineError: the port is taken. ModelError: the policy needs tags that the small model does not have. For
        further errors see `start_pair`.
    """
    try:
        policy = make_policy(config.engine.policy, load_policies(), PolicyContext())
    except ValueError as error:
        raise UsageError(str(error)) from None
    # Now, because importing a package while requests run would hold all of them up.
    policies = usable_policies(lambda reason: log.warning("without a policy: %s", reason))
    with ExitStack() as stack, _bound(config.host, config.port) as listener:
        small, big = start_pair(
            config.small, config.big, stack, runtime=config.runtime, log_folder=config.log_folder, on_status=on_status
        )
        if policy.tagged:
            # Without them it would never hand over, or write tags that nobody heeds.
            small.tokenizer.tag_ids()
        engine = make_engine(config, small, big, policies)
        asyncio.run(_serve(config, engine, (small, big), listener, on_status))


def make_engine(config: ServeConfig, small: Running, big: Running, policies: Mapping[str, Factory]) -> SplitEngine:
    """The engine of two running sides, which reads no more than both of them do."""
    known = [running.context_tokens for running in (small, big) if running.context_tokens]
    pair = Pair.of(small.tokenizer, big.tokenizer, hint=config.hint)
    engine = replace(config.engine, context_tokens=min(known, default=None))
    backends = BackendPair(small.backend, big.backend)
    return SplitEngine(backends, pair, engine, config.pipeline, policies=policies)


async def _warm_up(running: Running) -> None:
    try:
        await running.backend.warm_up()
    except BackendError as error:
        hint = "srx needs vLLM 0.31 or newer; a hosted big model works with --big-text"
        raise EndpointError(str(error), f"Its log is {running.log}" if running.log else hint) from None


def _bound(host: str, port: int) -> socket.socket:
    """A socket with the address, so that one that is taken is told before anything loads. Raises MachineError."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise MachineError(f"{host}:{port} cannot be opened ({error})", "Give others with --host and --port") from None
    return listener


async def _serve(
    config: ServeConfig,
    engine: SplitEngine,
    sides: tuple[Running, Running],
    listener: socket.socket,
    on_status: Callable[[str], None],
) -> None:
    import uvicorn

    async with AsyncExitStack() as stack:
        stack.push_async_callback(engine.aclose)
        for running in sides:
            await _warm_up(running)
        options = uvicorn.Config(
            create_app(engine, config.server), log_level="warning", access_log=False, timeout_graceful_shutdown=5
        )
        on_status(f"http://{config.host}:{listener.getsockname()[1]}/v1 serves {config.engine.model}")
        await uvicorn.Server(options).serve(sockets=[listener])
