"""Flag values that typer has no type for."""

from ..core.budget import parse_share
from ..errors import UsageError


def share(flag: str, text: str) -> float:
    """Read a share such as 5% or 0.05. Raises UsageError naming the flag."""
    try:
        return parse_share(text)
    except ValueError as error:
        raise UsageError(f"{flag}: {error}") from None


def names(text: str) -> list[str]:
    """Read a comma-separated list."""
    return [name.strip() for name in text.split(",") if name.strip()]


def budgets(text: str) -> list[float | None]:
    """Read a comma-separated list of shares; `none` is no cap."""
    return [None if name == "none" else share("--offload-budget", name) for name in names(text)] or [None]
