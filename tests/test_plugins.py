"""What installed packages add by entry points, broken ones among them."""

import itertools
import subprocess
import sys

import pytest

from splitreason_cli.errors import MachineError, UsageError
from splitreason_cli.plugins import Registry, call, parse_call
from splitreason_cli.store.embedded import MINI_TRACES
from splitreason_cli.tasks.base import Task
from tests.cli.conftest import environment

GROUP = "srx.tasks"
NUMBERS = itertools.count()


def install(folder, module, source, points, group=GROUP):
    """What pip leaves behind in a folder of the search path; returns the module's file."""
    file = folder / f"{module.replace('.', '/')}.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(source)
    installed = folder / f"{module}-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}-package\nVersion: 1.0\n")
    lines = [f"{name} = {value}" for name, value in points.items()]
    (installed / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines]) + "\n")
    return file


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A name for a module in a folder that packages are found in."""
    monkeypatch.syspath_prepend(tmp_path)
    name = f"srx_test_plugin_{next(NUMBERS)}"
    yield name
    for loaded in [one for one in sys.modules if one.startswith(name)]:
        del sys.modules[loaded]


TASK = "from splitreason_cli.tasks.base import Task\n\nclass Mine(Task):\n    max_tokens = 7\n"


def tasks():
    return Registry("task", GROUP, {"ours": Task}, Task)


def test_names_are_ours_and_then_those_of_packages_without_importing_them(tmp_path, module):
    install(tmp_path, module, "raise RuntimeError('imported')", {"theirs": f"{module}:Mine"})
    assert list(tasks()) == ["ours", "theirs"]
    assert "theirs" in tasks()
    assert len(tasks()) == 2
    assert module not in sys.modules
    with pytest.raises(UsageError, match=r"unknown task 'neither'\. Known are ours, theirs"):
        tasks().find("neither")


def test_a_package_s_own_wins_over_ours_of_the_same_name(tmp_path, module):
    install(tmp_path, module, TASK, {"ours": f"{module}:Mine"})
    assert tasks()["ours"].max_tokens == 7
    assert list(tasks()) == ["ours"]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_module_at_all", r"cannot be loaded \(ModuleNotFoundError: No module named"),
        ("raise ValueError('two\\nlines.')", r"cannot be loaded \(ValueError: two lines\)"),
        ("Yours = 1", r"cannot be loaded \(AttributeError"),
        ("Mine = dict", r"is no subclass of splitreason_cli\.tasks\.base\.Task"),
        ("Mine = 3", r"is no subclass of splitreason_cli\.tasks\.base\.Task"),
    ],
)
def test_a_package_that_cannot_be_used_is_named_in_one_line(tmp_path, module, source, reason):
    install(tmp_path, module, source, {"theirs": f"{module}:Mine"})
    with pytest.raises(MachineError, match=reason) as caught:
        tasks().find("theirs")
    assert str(caught.value).startswith(f"task 'theirs' of the package {module}-package")
    assert "\n" not in str(caught.value)
    assert tasks()["ours"] is Task


def test_the_source_is_that_of_the_module_or_of_the_whole_package(tmp_path, module):
    file = install(tmp_path, module, TASK, {"theirs": f"{module}:Mine"})
    registry, seen = tasks(), set()
    for text in (TASK, TASK + "# changed"):
        file.write_text(text)
        seen.add(registry.source("theirs"))
    assert len(seen) == 2
    assert registry.source("ours") == ""
    assert module not in sys.modules


@pytest.mark.parametrize("inner", ["package", "name_space.package"])
def test_a_change_anywhere_in_a_package_changes_its_source(tmp_path, module, inner):
    file = install(tmp_path, f"{module}.{inner}.part", TASK, {"theirs": f"{module}.{inner}.part:Mine"})
    (file.parent / "__init__.py").write_text("")
    helper = file.parent / "deep" / "helper.py"
    helper.parent.mkdir()
    beside = tmp_path / module / "other.py"
    digests = []
    for path, text in [(helper, "1"), (helper, "2"), (beside, "3")]:
        path.write_text(text)
        digests.append(tasks().source("theirs"))
    assert digests[0] != digests[1] == digests[2]


def test_names_may_have_arguments():
    assert parse_call("brief(0.5, a b)") == ("brief", ("0.5", "a b"))
    assert parse_call(" brief ") == parse_call("brief()") == ("brief", ())
    for text in ("", "brief(1", "two names", "-x"):
        with pytest.raises(UsageError, match="is no name"):
            parse_call(text)
    assert call(lambda one: int(one), "n(7)", ("7",)) == 7
    with pytest.raises(UsageError, match=r"'f\(1, 2\)': too many positional arguments"):
        call(lambda one: one, "f(1, 2)", ("1", "2"))
    with pytest.raises(UsageError, match=r"'n\(x\)': invalid literal"):
        call(lambda one: int(one), "n(x)", ("x",))


ASKED = {
    "srx.policies": ["bench", "mini", "--policy", "broken"],
    "srx.tasks": ["bench", "broken"],
    "srx.annotators": ["annotate", "--annotator", "broken", "--in", MINI_TRACES],
    "srx.rewards": ["train", "grpo", "--reward", "broken", "--in", MINI_TRACES],
}


@pytest.fixture
def srx(tmp_path):
    """The command line where all that packages add is broken."""
    for group in ASKED:
        points = {"broken": "no_such_module_at_all:Mine"}
        install(tmp_path, f"{group.replace('.', '_')}_broken", "", points, group)

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "splitreason_cli", *map(str, arguments)],
            cwd=tmp_path,
            capture_output=True,
            env={**environment(tmp_path), "PYTHONPATH": str(tmp_path)},
            text=True,
            check=False,
        )

    return run


@pytest.mark.parametrize("group", ASKED)
def test_who_asks_for_something_broken_hears_of_the_package(srx, group):
    done = srx(*ASKED[group])
    assert done.returncode == 5
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    package = f"{group.replace('.', '_')}_broken-package"
    assert f"'broken' of the package {package} cannot be loaded (ModuleNotFoundError" in line
    assert f"pip uninstall {package}" in line


def test_who_does_not_ask_for_it_hears_nothing(srx):
    bench = ["bench", "mini", "--systems", "split", "--problems", "2", "--samples", "1", "--temperature", "0"]
    for arguments in (["annotate", "--in", MINI_TRACES, "--limit", "2"], bench):
        done = srx(*arguments)
        assert done.returncode == 0, done.stderr
        assert "broken" not in done.stderr
