import importlib.util
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from splitreason_cli.cli import app

ROOT = Path(__file__).parent.parent.parent


def commands(group=None, path=()):
    """All commands as (words, command)."""
    group = group or typer.main.get_command(app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(commands())


def test_the_commands_that_exist_are_the_ones_that_work():
    assert set(COMMANDS) == {
        ("annotate",), ("build-sft",), ("train", "sft"), ("train", "grpo"),
        ("serve",), ("chat",), ("bench",), ("simulate",), ("show",),
        ("stats",), ("demo",),
        ("store", "ls"), ("store", "show"), ("store", "path"), ("store", "gc"),
    }  # fmt: skip


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_help_ends_with_an_example_that_parses(words):
    example = COMMANDS[words].epilog.removeprefix("Example: ")
    # Only srx's own part of a pipe can be parsed here.
    first = example.split(" | ")[0].split(" > ")[0]
    arguments = shlex.split(first[first.index("srx ") + 4 :].replace(')/records.jsonl"', ""))
    assert tuple(arguments[: len(words)]) == words
    COMMANDS[words].make_context("srx", arguments[len(words) :])


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_option_is_explained(words):
    for parameter in COMMANDS[words].params:
        assert parameter.help, f"{' '.join(words)} {parameter.name}"


@pytest.mark.parametrize(("shell", "name"), [("bash", "srx.bash"), ("zsh", "_srx"), ("fish", "srx.fish")])
def test_the_shipped_completions_are_what_the_command_line_generates(shell, name):
    folder = ROOT / "completions"
    spec = importlib.util.spec_from_file_location("generate", folder / "generate.py")
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    assert generate.FILES[shell] == name
    assert (folder / name).read_text(encoding="utf-8") == generate.script(shell)


def test_completion_offers_the_commands():
    environment = {**os.environ, "_SRX_COMPLETE": "complete_bash", "COMP_WORDS": "srx ", "COMP_CWORD": "1"}
    code = "from splitreason_cli.cli import app; app(prog_name='srx')"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert {words[0] for words in COMMANDS} == set(done.stdout.split())


def test_the_version_is_the_packages(srx):
    from splitreason_cli import __version__

    assert srx("--version").stdout.decode() == f"srx {__version__}\n"
