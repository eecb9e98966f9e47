"""Write the shell completions beside this file: `python completions/generate.py`."""

from pathlib import Path

from typer.completion import get_completion_script

FILES = {"bash": "srx.bash", "zsh": "_srx", "fish": "srx.fish"}


def script(shell: str) -> str:
    """The completion script of one shell. It asks `srx` itself, so it never lags behind the commands."""
    return get_completion_script(prog_name="srx", complete_var="_SRX_COMPLETE", shell=shell) + "\n"


if __name__ == "__main__":
    for shell, name in FILES.items():
        (Path(__file__).parent / name).write_text(script(shell), encoding="utf-8")
