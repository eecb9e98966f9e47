"""The OpenAI-compatible HTTP API over an engine. Import it only where a server starts: it loads Starlette.

POST /v1/chat/completions, /v1/completions
GET  /v1/models, /v1/models/{name}
GET  /health     200 if requests can be served, 503 if not; needs no key
GET  /metrics    for Prometheus
"""

import hmac
import time
from dataclasses import dataclass, field
from http import HTTPStatus

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import UsageError
from .engine import Engine
from .http_exchange import GenerationEndpoint, ServerContext, Slots, as_api_error
from .http_wire import STATUS, error_response
from .metrics import CONTENT_TYPE, ServerMetrics
from .openai_responses import ChatReply, CompletionReply, model_card, model_list
from .openai_schema import ApiError, RequestLimits, parse_chat, parse_completion, unknown_model

CHAT, COMPLETIONS, MODELS, HEALTH, METRICS = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/models",
    "/health",
    "/metrics",
)


@dataclass(frozen=True)
class ServerConfig:
    """What a server takes.

    Args:
        api_key: clients send it as a bearer token; None serves everybody who reaches the port.
        models: names under which the pair is served; empty for the engine's own.
        max_tokens_limit: of one completion; a request for more is refused. None for the engine's bound.
        default_max_tokens: where a request names none; None for the limit.
        max_n: choices of one request.
        max_concurrency: completions in flight; further requests are told to come back.
    """

    api_key: str | None = field(default=None, repr=False)
    models: tuple[str, ...] = ()
    max_body_bytes: int = 4 * 2**20
    max_tokens_limit: int | None = None
    default_max_tokens: int | None = None
    max_n: int = 8
    max_concurrency: int = 64

    def __post_init__(self) -> None:
        if self.api_key is not None and not self.api_key.strip():
            raise UsageError("the API key is empty", "Unset it to serve without a key")


def create_app(engine: Engine, config: ServerConfig | None = None, metrics: ServerMetrics | None = None) -> Starlette:
    """The ASGI application. Raises UsageError for a config that makes no sense."""
    config, metrics = config or ServerConfig(), metrics or ServerMetrics()
    limits = RequestLimits(
        models=config.models or engine.models,
        max_n=min(config.max_n, config.max_concurrency),
        max_tokens=config.max_tokens_limit,
        default_max_tokens=config.default_max_tokens,
    )
    server = ServerContext(engine, limits, Slots(config.max_concurrency), config.max_body_bytes, metrics)
    pages = _Pages(engine, limits.models, metrics)
    return Starlette(
        routes=[
            Route(CHAT, GenerationEndpoint(server, parse_chat, ChatReply, "chatcmpl"), methods=["POST"]),
            Route(COMPLETIONS, GenerationEndpoint(server, parse_completion, CompletionReply, "cmpl"), methods=["POST"]),
            Route(MODELS, pages.models),
            Route(MODELS + "/{name:path}", pages.model),
            Route(HEALTH, pages.health),
            Route(METRICS, pages.metrics),
        ],
        middleware=[Middleware(_Counted, metrics=metrics), Middleware(_Keyed, api_key=config.api_key)],
        exception_handlers={HTTPException: _http_error, ApiError: _api_error, Exception: _bug},
    )


class _Pages:
    """What can be read without generating anything."""

    def __init__(self, engine: Engine, models: tuple[str, ...], metrics: ServerMetrics) -> None:
        self._engine = engine
        self._models = models
        self._metrics = metrics
        self._started = int(time.time())

    async def models(self, request: Request) -> Response:
        return _json(model_list(self._models, self._started))

    async def model(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self._models:
            raise unknown_model(name, self._models)
        return _json(model_card(name, self._started))

    async def health(self, request: Request) -> Response:
        try:
            await self._engine.check()
        except Exception as failure:  # noqa: BLE001 - whatever it is, the engine is not healthy
            return error_response(as_api_error(failure))
        return _json({"status": "ok"})

    async def metrics(self, request: Request) -> Response:
        return Response(self._metrics.render(), media_type=CONTENT_TYPE)


class _Keyed:
    """Refuses who has no key, whatever the path; only the health check is open."""

    def __init__(self, app: ASGIApp, api_key: str | None) -> None:
        self._app = app
        self._expected = None if api_key is None else api_key.strip().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] != HEALTH and not self._allows(scope):
            error = ApiError(
                401, "a valid API key is required, as in 'Authorization: Bearer KEY'", code="invalid_api_key"
            )
            return await error_response(error, {"www-authenticate": "Bearer"})(scope, receive, send)
        return await self._app(scope, receive, send)

    def _allows(self, scope: Scope) -> bool:
        if self._expected is None:
            return True
        sent = dict(scope["headers"]).get(b"authorization", b"")
        scheme, _, key = sent.partition(b" ")
        return hmac.compare_digest(key.strip(), self._expected) and scheme.lower() == b"bearer"


class _Counted:
    """Counts requests by path and by what became of them."""

    def __init__(self, app: ASGIApp, metrics: ServerMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        sent = 500

        async def noting(message: Message) -> None:
            nonlocal sent
            if message["type"] == "http.response.start":
                sent = message["status"]
            await send(message)

        path = scope["path"] if scope["path"] in (CHAT, COMPLETIONS, MODELS, HEALTH, METRICS) else "other"
        try:
            return await self._app(scope, receive, noting)
        finally:
            self._metrics.requests.labels(path, str(scope.get(STATUS, sent))).inc()


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    what = HTTPStatus(error.status_code).phrase.lower()
    return error_response(ApiError(error.status_code, f"{request.method} {request.url.path}: {what}"), error.headers)


async def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error_response(error)


async def _bug(request: Request, error: Exception) -> Response:
    # Starlette raises it again after this, so the server logs it.
    return error_response(ApiError(500, "the server failed at this request; its log says why", kind="server_error"))
