"""Reasoning split between a small and a big language model."""


def __getattr__(name: str) -> str:
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Read when it is asked for: this file is part of every result's code, which a release alone does not change.
    from importlib.metadata import version

    return version("splitreason-cli")
