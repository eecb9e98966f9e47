"""What servers at URLs may speak. To add a protocol, write a backend like that of `models.text_http` and a line here.

Users write its name before the address: `text+https://host/v1`. Without a name it is `tokens`.
"""

from collections.abc import Callable

from .backend import Backend, Served
from .text_http import TextBackend
from .vllm_http import CompletionsBackend

PROTOCOLS: dict[str, Callable[[Served], Backend]] = {
    "tokens": CompletionsBackend.of,
    "text": TextBackend.of,
}
