"""The rules of the house that a reader of the code may rely on."""

import ast
import functools
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from splitreason_cli.cli.groups import COMMANDS

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "splitreason_cli"
VERBS = ("annotating", "dataset", "training", "serving", "measuring", "timing", "showing")
FLOORS = (
    ("calls", "errors", "plugins"),
    ("records",),
    ("layouts", "split"),
    ("store",),
    ("viewing",),
    ("tasks",),
    ("models",),
    ("decoding",),
    VERBS,
    ("cli",),
)
"""From the bottom up."""

PURE = ("records", "layouts", "split")
WORLD = {"os", "sys", "pathlib", "time", "io", "socket", "subprocess", "threading", "asyncio", "torch", "transformers"}
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
LONGEST_FILE, LONGEST_FUNCTION, MOST_PARAMETERS, MOST_FLAGS = 400, 40, 6, 12
MAY_BE_IMPORTED_FOR_HELP = {"splitreason_cli.cli", "splitreason_cli.cli.groups"}


def found(pattern, folder=PACKAGE):
    """The files that match below a folder; a pattern that matches nothing proves nothing."""
    files = sorted(path for path in folder.rglob(pattern) if "__pycache__" not in path.parts)
    assert files, f"no {pattern} in {folder}"
    return files


def name_of(path):
    return "/".join(path.relative_to(PACKAGE).parts)


FILES = found("*.py")
each_file = pytest.mark.parametrize("path", FILES, ids=name_of)


@functools.cache
def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def module_of(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}


def is_for_types(node):
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def statements(node):
    """All nodes below this one that are there when the program runs."""
    for child in ast.iter_child_nodes(node):
        if not is_for_types(child):
            yield child
            yield from statements(child)


@functools.cache
def imported(path):
    """The modules of the package that a file imports, anywhere in it, and the top names of all others."""
    inside, outside = set(), set()
    for node in statements(tree(path)):
        for module in named_by(node, path):
            top, _, rest = module.partition(".")
            if top == PACKAGE.name:
                inside.add(rest if rest in MODULES else rest.rpartition(".")[0])
            else:
                outside.add(top)
    return inside - {""}, outside


def named_by(node, path):
    """What a statement of this file imports, in full; of `from` each name, be it a module or something in one."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    parent = (PACKAGE.name, *path.relative_to(PACKAGE).parts[: -node.level]) if node.level else ()
    return [".".join(filter(None, (*parent, node.module, alias.name))) for alias in node.names]


def test_an_absolute_import_of_the_package_is_one_of_its_own(tmp_path):
    path = tmp_path / "made_up.py"
    path.write_text(
        "import splitreason_cli.serving.engine, torch.nn\n"
        "from splitreason_cli.records import data\n"
        "from splitreason_cli.errors import SrxError\n"
    )
    assert imported(path) == ({"serving.engine", "records.data", "errors"}, {"torch"})


def floor_of(module):
    top = module.split(".")[0]
    return next((level for level, packages in enumerate(FLOORS) if top in packages), None)


def test_every_package_has_a_floor():
    assert {module.split(".")[0] for module in MODULES if "." in module} <= {name for floor in FLOORS for name in floor}


@each_file
def test_imports_go_downward_and_no_verb_knows_another(path):
    here = module_of(path)
    for module in imported(path)[0]:
        if None in (floor_of(module), floor_of(here)):
            continue
        assert floor_of(module) <= floor_of(here), f"{here} imports {module}"
        both = {module.split(".")[0], here.split(".")[0]}
        assert len(both) == 1 or not both <= set(VERBS), f"{here} imports {module}"


def test_no_module_imports_itself_by_way_of_others():
    finished, path = set(), []

    def visit(module):
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module in finished:
            return
        path.append(module)
        for other in sorted(imported(MODULES[module])[0]):
            visit(other)
        path.pop()
        finished.add(module)

    for module in MODULES:
        visit(module)
    assert len(finished) == len(MODULES)


@pytest.mark.parametrize("package", PURE)
def test_the_heart_does_no_input_or_output_and_neither_does_what_it_imports(package):
    closure, new = set(), {module for module in MODULES if module.split(".")[0] == package}
    while new:
        closure |= new
        new = {other for module in new for other in imported(MODULES[module])[0]} - closure
    assert len(closure) > 5
    assert {module: names for module in closure if (names := imported(MODULES[module])[1] & WORLD)} == {}


@each_file
def test_a_file_has_one_noun_and_a_function_fits_on_a_screen(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = node.end_lineno - node.lineno + 1
            assert lines <= LONGEST_FUNCTION, f"{node.name} has {lines} lines"


def public_classes(node):
    """The names of the public classes below a node, without those inside functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(child, ast.ClassDef) and not child.name.startswith("_"):
            yield child.name
        yield from public_classes(child)


def test_a_name_means_one_class():
    names = Counter(name for path in FILES for name in public_classes(tree(path)))
    assert names["Sampling"] == 1
    assert [name for name, count in names.items() if count > 1] == []


@each_file
def test_the_tags_are_spelled_in_one_module(path):
    spelled = "<bigmodel>" in path.read_text(encoding="utf-8")
    assert spelled == (path.name == "markup.py")


def test_the_readme_has_a_row_for_each_package_and_each_package_says_what_it_is():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text.partition("## File map")[2].partition("\n## ")[0]
    rows = set(re.findall(r"^ +(\w+)/ ", table.partition("splitreason_cli/")[2], re.MULTILINE))
    packages = {path.parent.relative_to(PACKAGE).parts[0] for path in found("__init__.py") if path.parent != PACKAGE}
    assert rows == packages
    assert [name_of(path) for path in found("__init__.py") if not ast.get_docstring(tree(path))] == []


def functions_with_more_parameters(path, most):
    """The functions and methods of a file that take more; `self` and what stars collect do not count."""
    functions = [node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    given = [(node.name, [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]) for node in functions]
    return [name for name, them in given if sum(one.arg not in ("self", "cls") for one in them) > most]


@pytest.mark.parametrize("path", found("*.py", PACKAGE / "cli"), ids=name_of)
def test_no_command_takes_many_parameters_by_hand(path):
    assert functions_with_more_parameters(path, MOST_FLAGS) == []


@pytest.mark.parametrize("path", [path for path in FILES if floor_of(module_of(path)) != len(FLOORS) - 1], ids=name_of)
def test_a_public_function_takes_few_parameters(path):
    found = functions_with_more_parameters(path, MOST_PARAMETERS)
    assert [name for name in found if name == "__init__" or not name.startswith("_")] == []


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
