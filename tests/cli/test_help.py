import importlib.util
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from splitreason_cli.cli.groups import COMMANDS as TABLE
from splitreason_cli.cli.groups import load

ROOT = Path(__file__).parent.parent.parent


def commands(words, command):
    """All commands below one as (words, command); that which runs without a word of its own has its group's."""
    default = getattr(command, "default", None)
    if not hasattr(command, "commands"):
        yield words, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(words if name == default else (*words, name), below)


LOADED = {name: load(name) for name in TABLE}
COMMANDS = {words: command for name in TABLE for words, command in commands((name,), LOADED[name])}


def test_the_commands_that_exist_are_the_ones_that_work():
    assert set(COMMANDS) == {
        ("annotate",),
        ("build-sft",),
        ("train", "sft"),
        ("train", "grpo"),
        ("serve",),
        ("chat",),
        ("bench",),
        ("bench", "compare"),
        ("bench", "latency"),
        ("simulate",),
        ("show",),
        ("stats",),
        ("demo",),
        ("store", "ls"),
        ("store", "show"),
        ("store", "path"),
        ("store", "gc"),
    }


@pytest.mark.parametrize("name", TABLE)
def test_the_table_says_what_the_commands_say_of_themselves(name):
    explained = COMMANDS[name,] if (name,) in COMMANDS else LOADED[name]
    assert TABLE[name][1] == explained.help.splitlines()[0]


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


def completed(*words):
    """What the shell offers in place of the last word."""
    environment = {**os.environ, "_SRX_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(["srx", *words])}
    code = "from splitreason_cli.cli import app; app(prog_name='srx')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment, "COMP_CWORD": str(len(words))},
        capture_output=True,
        text=True,
        check=False,
    )
    return set(done.stdout.split())


def test_completion_offers_the_commands():
    assert completed("") == {words[0] for words in COMMANDS}


def test_completion_offers_what_a_command_takes():
    assert completed("train", "") == {"sft", "grpo"}
    assert {"--samples", "--offload-budget", "--from"} <= completed("bench", "--")
    assert completed("bench", "m") == {"math500", "mini"}
    assert {"compare", "latency"} <= completed("bench", "")
    assert completed("bench", "latency", "--r") == {"--rounds"}


def test_an_unknown_command_is_refused_with_the_one_that_is_meant(srx):
    done = srx("benhc")
    assert done.returncode == 2
    assert "Did you mean 'bench'?" in done.stderr.decode()


def test_help_of_bench_is_that_of_its_tasks_and_names_the_others(srx):
    shown = srx("bench", "-h").stdout.decode()
    assert "--offload-budget" in shown
    assert "srx bench compare" in shown
    assert "srx bench latency" in shown
    assert "--rounds" not in shown


@pytest.mark.parametrize(("name", "flag"), [("compare", "--out"), ("latency", "--rounds")])
def test_help_of_the_other_two_is_their_own(srx, name, flag):
    shown = srx("bench", name, "-h").stdout.decode()
    assert f"bench {name} [OPTIONS]" in shown
    assert flag in shown
    assert "--offload-budget" not in shown


def test_the_version_is_the_packages(srx):
    from splitreason_cli import __version__

    assert srx("--version").stdout.decode() == f"srx {__version__}\n"
