"""The rules of the house that a reader of the code may rely on."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from splitreason_cli.cli.groups import COMMANDS

PACKAGE = Path(__file__).parent.parent / "splitreason_cli"
LAYERS = {"core": 0, "adapters": 1, "stages": 2, "cli": 3}
HEAVY = (
    "torch",
    "transformers",
    "trl",
    "datasets",
    "vllm",
    "math_verify",
    "fastapi",
    "matplotlib",
    "scipy",
    "numpy",
    "peft",
    "pyarrow",
    "huggingface_hub",
    "starlette",
    "uvicorn",
    "prometheus_client",
)


def imported(path):
    """The package-internal modules a file imports, as dotted names below the package."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            parent = path.relative_to(PACKAGE).parts[: -node.level]
            base = ".".join([*parent, *([node.module] if node.module else [])])
            yield from ([base] if node.module else [".".join([*parent, a.name]) for a in node.names])


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*/*.py")), ids=lambda p: "/".join(p.parts[-2:]))
def test_imports_go_downward_and_stages_do_not_know_each_other(path):
    layer = path.parent.name
    for module in imported(path):
        target = module.split(".")[0]
        if target not in LAYERS:
            continue
        assert LAYERS[target] <= LAYERS[layer], f"{layer} imports {module}"
        if layer == target == "stages":
            raise AssertionError(f"{path.name} imports {module}")


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: "/".join(p.parts[-2:]))
def test_the_tags_are_spelled_in_one_module(path):
    spelled = "<bigmodel>" in path.read_text(encoding="utf-8")
    assert spelled == (path.name == "markup.py")


@pytest.mark.parametrize("path", sorted((PACKAGE / "core").glob("*.py")), ids=lambda p: p.name)
def test_the_core_does_no_input_or_output(path):
    names = {
        alias.name.split(".")[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in (node.names if isinstance(node, ast.Import) else [ast.alias(node.module or "")])
    }
    assert not names & {"os", "sys", "pathlib", "time", "io", "socket", "subprocess", "torch", "transformers"}


CLI = sorted((PACKAGE / "cli").glob("*.py"))
MAY_BE_IMPORTED_FOR_HELP = {"splitreason_cli.cli", "splitreason_cli.cli.groups"}


def functions(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


@pytest.mark.parametrize("path", CLI, ids=lambda p: p.name)
def test_commands_are_written_on_one_screen_with_few_parameters(path):
    for function in functions(path):
        given = function.args
        assert len([*given.posonlyargs, *given.args, *given.kwonlyargs]) <= 12, function.name
        assert function.end_lineno - function.lineno < 40, function.name


def shown(*arguments):
    """What `srx` prints for these arguments, and the modules that it has then imported."""
    code = (
        "import sys\n"
        "from splitreason_cli.cli import main\n"
        f"sys.argv = ['srx', *{arguments!r}]\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout, set(done.stderr.split())


def test_help_imports_no_command():
    printed, modules = shown("--help")
    assert not modules & set(HEAVY)
    assert {name for name in modules if name.startswith("splitreason_cli.cli")} == MAY_BE_IMPORTED_FOR_HELP
    assert "annotate" in printed


@pytest.mark.parametrize(
    "words", [*[(name,) for name in COMMANDS], ("train", "sft"), ("train", "grpo"), ("bench", "compare")], ids=" ".join
)
def test_help_of_a_command_imports_nothing_heavy(words):
    printed, modules = shown(*words, "--help")
    assert "Usage:" in printed
    assert not modules & set(HEAVY)
