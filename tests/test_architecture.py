"""The rules of the house that a reader of the code may rely on."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

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


def files(*below):
    """The Python files of a part of the package, however deep."""
    found = sorted(PACKAGE.joinpath(*below).rglob("*.py"))
    assert found, f"no files in {below}"
    return found


def named(path):
    return path.relative_to(PACKAGE).as_posix()


def imported(path):
    """The package-internal modules a file imports, as dotted names below the package."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            parent = path.relative_to(PACKAGE).parts[: -node.level]
            base = ".".join([*parent, *([node.module] if node.module else [])])
            yield from ([base] if node.module else [".".join([*parent, a.name]) for a in node.names])


@pytest.mark.parametrize("path", [path for layer in LAYERS for path in files(layer)], ids=named)
def test_imports_go_downward_and_stages_do_not_know_each_other(path):
    layer = path.relative_to(PACKAGE).parts[0]
    for module in imported(path):
        target = module.split(".")[0]
        if target not in LAYERS:
            continue
        assert LAYERS[target] <= LAYERS[layer], f"{layer} imports {module}"
        if layer == target == "stages":
            raise AssertionError(f"{path.name} imports {module}")


@pytest.mark.parametrize("path", files(), ids=named)
def test_the_tags_are_spelled_in_one_module(path):
    spelled = "<bigmodel>" in path.read_text(encoding="utf-8")
    assert spelled == (path.name == "markup.py")


@pytest.mark.parametrize("path", files("core"), ids=named)
def test_the_core_does_no_input_or_output(path):
    names = {
        alias.name.split(".")[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in (node.names if isinstance(node, ast.Import) else [ast.alias(node.module or "")])
    }
    assert not names & {"os", "sys", "pathlib", "time", "io", "socket", "subprocess", "torch", "transformers"}


def test_help_imports_nothing_heavy():
    code = (
        "import sys; sys.argv = ['srx', '--help']\n"
        "from splitreason_cli.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert "annotate" in done.stdout
