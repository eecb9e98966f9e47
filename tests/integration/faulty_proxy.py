"""A TCP proxy before a real server that breaks what passes through it in one of the ways that networks do."""

import asyncio
import contextlib
from urllib.parse import urlsplit

GARBAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\ndata: {not json\n\n"
REFUSAL = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
WHOLE_EVENTS = 3


class FaultyProxy:
    """`fault` is "" or one of FAULTS, and may change at any time; it applies to new connections."""

    FAULTS = ("silent", "refusing", "resetting", "garbage", "dead")

    def __init__(self, upstream):
        parts = urlsplit(upstream)
        self._host, self._port = parts.hostname, parts.port
        self.fault = ""

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self._server.close()

    async def _serve(self, reader, writer):
        with contextlib.suppress(ConnectionError):
            match self.fault:
                case "silent":
                    await reader.read(-1)
                case "refusing" | "garbage":
                    await reader.read(65536)
                    writer.write(GARBAGE if self.fault == "garbage" else REFUSAL)
                    await writer.drain()
                case "dead":
                    writer.transport.abort()
                case _:
                    await self._forward(reader, writer)
        writer.close()

    async def _forward(self, reader, writer):
        up_reader, up_writer = await asyncio.open_connection(self._host, self._port)
        back = asyncio.create_task(self._answer(up_reader, writer))
        try:
            while data := await reader.read(65536):
                up_writer.write(data)
                await up_writer.drain()
        finally:
            up_writer.close()
            await back

    async def _answer(self, up_reader, writer):
        events = 0
        with contextlib.suppress(ConnectionError):
            while data := await up_reader.read(65536):
                writer.write(data)
                await writer.drain()
                events += data.count(b"data: ")
                if self.fault == "resetting" and events >= WHOLE_EVENTS:
                    writer.transport.abort()
                    return
            writer.close()
