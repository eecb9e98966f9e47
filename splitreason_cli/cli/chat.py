"""srx chat"""

from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.text import Text

from ..errors import EndpointError, UsageError
from . import console, values
from .option_groups import expanded
from .render import BIG, LEFT, RIGHT

THINKING = "dim"


def register(app: typer.Typer) -> None:
    app.command("chat", epilog='Example: srx chat "048\na) #37\nb) +3\nc) +7\nd) #47\ne) #23\nf) +8\ng) .end"')(
        expanded(chat)
    )


@dataclass(frozen=True)
class Wish:
    """How this answer is to be written."""

    offload_budget: Annotated[str | None, typer.Option(help="Cap on the big model's share of this answer.")] = None
    policy: Annotated[str | None, typer.Option(help="When to hand over in this answer.")] = None
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Longest answer.")] = None
    temperature: Annotated[float, typer.Option(min=0, max=2, help="0 is greedy.")] = 0.0

    def parameters(self) -> dict[str, Any]:
        """Of the request. Raises UsageError."""
        budget = self.offload_budget
        share = None if budget is None else values.share("--offload-budget", budget)
        own = {"offload_budget": share, "policy": self.policy}
        limit = {"max_tokens": self.max_tokens} if self.max_tokens else {}
        extra = {name: value for name, value in own.items() if value is not None}
        return {"temperature": self.temperature, "extra_body": extra, **limit}


def chat(
    *,
    message: Annotated[str, typer.Argument(help="What to ask; - reads standard input.")] = "-",
    base_url: Annotated[str, typer.Option(help="Endpoint of srx serve.")] = "http://127.0.0.1:8000/v1",
    model: Annotated[str | None, typer.Option(help="Model to ask; else the first that the endpoint names.")] = None,
    api_key_env: Annotated[str | None, typer.Option(help="Environment variable that holds the endpoint's key.")] = None,
    wish: Wish,
) -> None:
    """Ask a running `srx serve` and watch who writes: spans of the big model light up as they stream."""
    import sys

    from openai import APIStatusError, NotFoundError, OpenAI, OpenAIError

    from ..store.keys import read_key

    text = sys.stdin.read() if message == "-" else message
    if not text.strip():
        raise UsageError("nothing to ask", "Give a message, or pipe one in")
    parameters = wish.parameters()
    client = OpenAI(base_url=base_url, api_key=read_key(api_key_env, "--api-key-env") or "EMPTY", max_retries=0)
    try:
        stream = client.chat.completions.create(
            model=model or client.models.list().data[0].id,
            messages=[{"role": "user", "content": text}],
            stream=True,
            stream_options={"include_usage": True},
            **parameters,
        )
        usage = _show(stream)
    except NotFoundError as error:
        raise EndpointError(f"{base_url}: {error.message}", "Check --model, and that --base-url ends in /v1") from None
    except APIStatusError as error:
        raise EndpointError(f"{base_url}: {error.message}") from None
    except OpenAIError as error:
        raise EndpointError(f"{base_url}: {error}".rstrip("."), "Is srx serve running there?") from None
    if usage:
        console.note(usage)


def _show(stream: Any) -> str:
    """Print the deltas as they come; returns a line about what they took."""
    out = console.stdout()
    usage, author = "", "small"
    for chunk in stream:
        if chunk.usage:
            usage = _describe(chunk.usage)
        for choice in chunk.choices:
            thought = getattr(choice.delta, "reasoning_content", None)
            piece = thought or choice.delta.content
            if not piece:
                continue
            writer = getattr(choice, "author", None) or author
            mark = {("small", "big"): LEFT, ("big", "small"): RIGHT}.get((author, writer), "")
            author = writer
            style = BIG if writer == "big" else THINKING if thought else ""
            out.print(Text(mark + piece, style=style), end="", soft_wrap=True)
    out.print(RIGHT if author == "big" else "")
    return usage


def _describe(usage: Any) -> str:
    split = getattr(usage, "split", None) or {}
    share = f", {split['offload_share']:.1%} by the big model in {split['spans']} spans" if split else ""
    return f"{usage.completion_tokens} tokens{share}"
