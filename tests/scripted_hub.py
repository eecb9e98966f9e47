"""A Hugging Face hub for tests: it creates model repositories and takes commits whose files all come inline."""

import base64
import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .scripted_endpoint import running


@dataclass
class ScriptedHub:
    """What was created and committed. `files` maps paths in the repository to their bytes."""

    token: str
    created: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    url: str = ""

    async def create(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return JSONResponse({"error": "Invalid username or password."}, status_code=401)
        self.created.append(await request.json())
        return JSONResponse({"url": f"{self.url}/{self.created[-1]['organization']}/{self.created[-1]['name']}"})

    async def validate(self, request: Request) -> Response:
        return JSONResponse({"warnings": [], "errors": []})

    async def preupload(self, request: Request) -> Response:
        paths = [file["path"] for file in (await request.json())["files"]]
        return JSONResponse({"files": [{"path": p, "uploadMode": "regular", "shouldIgnore": False} for p in paths]})

    async def commit(self, request: Request) -> Response:
        for line in (await request.body()).splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                self.files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
        place = f"{self.url}/{request.path_params['owner']}/{request.path_params['name']}/commit/1"
        return JSONResponse({"commitUrl": place, "commitOid": "1" * 40, "pullRequestUrl": None})

    @contextlib.contextmanager
    def running(self) -> Iterator[str]:
        """Serve it on a free port of this machine; yields the URL."""
        model = "/api/models/{owner}/{name}"
        routes = [
            Route("/api/repos/create", self.create, methods=["POST"]),
            Route("/api/validate-yaml", self.validate, methods=["POST"]),
            Route(f"{model}/preupload/main", self.preupload, methods=["POST"]),
            Route(f"{model}/commit/main", self.commit, methods=["POST"]),
        ]
        with running(Starlette(routes=routes)) as self.url:
            yield self.url
