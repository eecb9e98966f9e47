"""srx simulate"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..errors import InputError, UsageError
from ..records.data import Simulation
from ..split.latency import PAPER_BIG, PAPER_SMALL, Setup
from ..store.jsonl import encode
from ..store.source import Source
from ..timing.profiling import ProfilePlan
from ..timing.simulation import Written, synthetic
from ..timing.simulation import simulate as simulate_written
from . import console, values
from .option_groups import expanded

if TYPE_CHECKING:
    from ..timing.simulate import Profile

MODE_NAMES = {
    "small": "small alone",
    "big": "big alone",
    "serial_cold": "serial, cold cache",
    "serial": "serial",
    "pipelined": "pipelined",
}
TOKENS_FROM = {"ids": "", "characters": ", tokens estimated from characters", "flags": ", evenly placed"}

GIVEN = "given"
PAPER_ORIGINS = "the paper's 1.5B on A6000s", "the paper's 32B on A6000s"


def register(app: typer.Typer) -> None:
    app.command("simulate", epilog="Example: srx simulate --share 5% --tokens 8000 --spans 20")(expanded(simulate))


@dataclass(frozen=True)
class Synthetic:
    """A completion that nobody wrote."""

    share: Annotated[str | None, typer.Option(help="Synthetic: offload share (default 5%).")] = None
    tokens: Annotated[int | None, typer.Option(min=1, help="Synthetic: tokens of both models (default 8000).")] = None
    spans: Annotated[int | None, typer.Option(min=0, help="Synthetic: number of spans (default 20).")] = None

    def written(self, prompt_tokens: int) -> Written:
        """Its tokens. Raises UsageError."""
        share, spans = values.share("--share", self.share or "5%"), 20 if self.spans is None else self.spans
        try:
            return synthetic(self.tokens or 8000, share, spans, prompt_tokens)
        except ValueError as error:
            raise UsageError(f"--spans: {error}") from None


@dataclass(frozen=True)
class Speeds:
    """The two models, and how they are driven."""

    small_rates: Annotated[
        str | None,
        typer.Option(help="Prefilled/decoded tokens a second (default 30000/150, the paper's for 1.5B on A6000s)."),
    ] = None
    big_rates: Annotated[
        str | None,
        typer.Option(help="Prefilled/decoded tokens a second (default 2500/15, the paper's for 32B on A6000s)."),
    ] = None
    stride: Annotated[int, typer.Option(min=1, help="Pipelined: tokens of a streaming prefill.")] = 128
    probe_stride: Annotated[int, typer.Option(min=1, help="Pipelined: tokens of a controlling prefill.")] = 16
    bucket: Annotated[int, typer.Option(min=1, help="Serial: big tokens probed together for the closing tag.")] = 8
    probe_tokens: Annotated[int, typer.Option(min=0, help="Serial: small tokens decoded by each probe.")] = 6
    hand_over_seconds: Annotated[
        float | None,
        typer.Option(min=0, help="Fixed latency of a change of author (default 0; measured by --profile)."),
    ] = None
    overrun_tokens: Annotated[
        float, typer.Option(min=0, help="Big tokens written in vain past the end of each span.")
    ] = 0.0

    def setup(self) -> Setup:
        """The same, with the paper's rates where none are given. Raises UsageError."""
        return Setup(
            small=PAPER_SMALL if self.small_rates is None else values.rates("--small-rates", self.small_rates),
            big=PAPER_BIG if self.big_rates is None else values.rates("--big-rates", self.big_rates),
            stride_tokens=self.stride,
            probe_stride_tokens=self.probe_stride,
            bucket_tokens=self.bucket,
            probe_tokens=self.probe_tokens,
            hand_over_seconds=self.hand_over_seconds or 0.0,
            overrun_tokens=self.overrun_tokens,
        )

    def origins(self) -> tuple[str, str]:
        """Where each model's rates are from."""
        small, big = PAPER_ORIGINS
        return GIVEN if self.small_rates else small, GIVEN if self.big_rates else big


@dataclass(frozen=True)
class Profiling:
    """Servers whose rates are measured."""

    profile: Annotated[
        str | None,
        typer.Option(
            help="Measure the rates of two vLLM servers: SMALL_URL,BIG_URL, such as http://127.0.0.1:8000/v1."
        ),
    ] = None
    profile_tokens: Annotated[int, typer.Option(min=257, help="Profile: tokens of the longer prompt.")] = 2048
    repetitions: Annotated[int, typer.Option(min=1, help="Profile: medians of so many repetitions.")] = 5
    api_key_env: Annotated[str | None, typer.Option(help="Environment variable that holds the servers' key.")] = None
    timeout: Annotated[float, typer.Option(min=0.1, help="Profile: seconds for one request.")] = 600.0

    def measured(self, urls: str) -> "tuple[Profile, Profile]":
        """The profiles of the small and the big model at these addresses. Raises UsageError, EndpointError."""
        from ..timing.simulate import profile_pair

        pair = values.names(urls)
        if len(pair) != 2:
            raise UsageError(f"--profile: {urls!r} is no pair of addresses. Write SMALL_URL,BIG_URL")
        plan = ProfilePlan(long_tokens=self.profile_tokens, repetitions=self.repetitions)
        profiles = []
        with console.progress() as live:
            task = live.add_task("profile", total=2, note="")
            for measured in profile_pair(pair, plan, self.api_key_env, self.timeout):
                profiles.append(measured)
                live.update(task, advance=1)
        small, big = profiles
        return small, big


def simulate(
    *,
    file: Annotated[
        str | None,
        typer.Argument(
            help="JSONL of generation records, or of tagged texts with --characters-per-token; - is standard input. "
            "Without it a synthetic completion is simulated.",
            show_default=False,
        ),
    ] = None,
    made_up: Synthetic,
    prompt_tokens: Annotated[int, typer.Option(min=0, help="Tokens of each prompt; records do not count it.")] = 128,
    characters_per_token: Annotated[
        float | None, typer.Option(min=0.1, help="Estimate tokens of texts that count none, such as 3.")
    ] = None,
    speeds: Speeds,
    profiling: Profiling,
    json: Annotated[bool, typer.Option("--json", help="Print one simulation record a mode instead.")] = False,
) -> None:
    """Estimate how long a split completion takes, in turns and pipelined, from prefill and decode rates.

    It is a model, not a measurement: one request, constant rates, each model on a machine of its own.
    """
    from ..timing.simulate import read_completions, with_profiles

    if file is None:
        completions = [made_up.written(prompt_tokens)]
    elif made_up == Synthetic():
        completions = list(read_completions(Source.stream(file), prompt_tokens, characters_per_token))
    else:
        raise UsageError("--share, --tokens and --spans describe a synthetic completion. Leave them out with FILE")
    setup, origins = speeds.setup(), speeds.origins()
    if profiling.profile is not None:
        if speeds.small_rates or speeds.big_rates:
            raise UsageError("--profile measures the rates. Leave --small-rates and --big-rates out")
        small, big = profiling.measured(profiling.profile)
        (console.stderr if json else console.stdout()).print(profile_table((small, big)))
        setup, origins = with_profiles(setup, small, big, speeds.hand_over_seconds), (small.model, big.model)
    _print(_simulated(completions, setup, file), origins, json=json)


def _simulated(completions: list[Written], setup: Setup, file: str | None) -> list[Simulation]:
    try:
        return simulate_written(completions, setup)
    except ValueError as error:
        raise InputError(f"{file}: {error}", "Give completions that hold tokens") from None


def _print(rows: list[Simulation], origins: tuple[str, str], *, json: bool) -> None:
    if json:
        for row in rows:
            console.emit(encode(row))
        return
    out = console.stdout()
    for system in dict.fromkeys(row.system for row in rows):
        out.print(simulation_table([row for row in rows if row.system == system], origins))


def profile_table(profiles: "tuple[Profile, Profile]") -> Table:
    """The measured rates, each with the spread of the times behind it."""
    table = Table(title="measured, tokens a second", box=box.SIMPLE, padding=(0, 1))
    table.add_column("model", overflow="fold")
    for column in ("prefill", "spread", "decode", "spread", "seconds a request"):
        table.add_column(column, justify="right", no_wrap=True)
    for profile in profiles:
        measured, rates = profile.measured, profile.measured.rates
        prefill = f"{rates.prefill_tokens_per_second:,.0f}", f"{measured.prefill_spread:.1%}"
        decode = f"{rates.decode_tokens_per_second:,.1f}", f"{measured.decode_spread:.1%}"
        table.add_row(Text(profile.model), *prefill, *decode, f"{measured.request_seconds:.4f}")
    return table


def simulation_table(rows: list[Simulation], origins: tuple[str, str]) -> RenderableType:
    """The modes of one system beside what was measured. `origins` tell where each model's rates are from."""
    first = rows[0]
    title = f"{first.system}: " if first.system else ""
    title += f"{first.generations:,} completions, " if first.generations > 1 else ""
    title += f"{first.tokens:,} tokens, {first.big_tokens / first.tokens:.2%} of them in {first.spans:,} spans"
    title += TOKENS_FROM[first.tokens_from]
    caption = "prefilled/decoded tokens a second: " + ", ".join(
        f"{rates[0]:,.0f}/{rates[1]:,.4g} ({origin})"
        for rates, origin in zip((first.small_rates, first.big_rates), origins, strict=True)
    )
    table = Table(box=box.SIMPLE, padding=(0, 1))
    table.add_column("mode", no_wrap=True)
    measured = first.measured_seconds
    for column in ("seconds", "x small alone", "speed-up over big", *(["predicted / measured"] if measured else [])):
        table.add_column(column, justify="right")
    alone = {row.mode: row.seconds for row in rows}
    for row in rows:
        times = f"{row.seconds:,.2f}", f"{row.relative_to_small:.2f}", f"{row.speedup_over_big:.2f}"
        table.add_row(MODE_NAMES[row.mode], *times, *([f"{row.seconds / measured:.2f}"] if measured else []))
    if measured:
        small, big = alone["small"], alone["big"]
        table.add_row("measured", f"{measured:,.2f}", f"{measured / small:.2f}", f"{big / measured:.2f}", "1.00")
    # A table's own title would be cut to the table's width.
    return Group(Text(title, style="bold"), Text(caption), table)
