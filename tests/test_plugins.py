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
from tests.installed import install

GROUP = "srx.tasks"
NUMBERS = itertools.count()


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


def refused(name):
    with pytest.raises(MachineError) as caught:
        tasks().find(name)
    with pytest.raises(MachineError, match="is"):
        tasks().source(name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_no_package_replaces_what_is_ours(tmp_path, module):
    install(tmp_path, module, TASK, {"ours": f"{module}:Mine", "theirs": f"{module}:Mine"})
    assert f"task 'ours' is ours and also in the package {module}-package" in refused("ours")
    assert tasks()["theirs"].max_tokens == 7


def test_a_name_that_two_packages_have_is_refused_with_both(tmp_path, module):
    for name, own in ((module, "first"), (f"{module}_too", "second")):
        install(tmp_path, name, TASK, {"both": f"{name}:Mine", own: f"{name}:Mine"})
    message = refused("both")
    assert f"{module}-package" in message
    assert f"{module}_too-package" in message
    assert tasks()["first"].max_tokens == tasks()["second"].max_tokens == 7
    assert list(tasks()).count("both") == 1


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


def test_what_stands_beside_the_code_is_part_of_its_source(tmp_path, module):
    file = install(tmp_path, f"{module}.part", TASK, {"theirs": f"{module}.part:Mine"})
    (file.parent / "__init__.py").write_text("")
    weights = file.parent / "deep" / "w.json"
    weights.parent.mkdir()
    digests = []
    for text in ("[1]", "[2]"):
        weights.write_text(text)
        digests.append(tasks().source("theirs"))
    weights.rename(weights.with_name("v.json"))
    digests.append(tasks().source("theirs"))
    assert len(set(digests)) == 3
    compiled = file.parent / "__pycache__" / "part.cpython-312.pyc"
    compiled.parent.mkdir()
    compiled.write_bytes(b"\0")
    assert tasks().source("theirs") == digests[-1]


def test_a_module_beside_it_in_the_same_package_is_part_of_its_source(tmp_path, module):
    record = [f"{module}.py", f"{module}_beside.py", f"{module}-1.0.dist-info/RECORD", "../../bin/tool"]
    install(tmp_path, module, TASK, {"theirs": f"{module}:Mine"}, record=record)
    digests = []
    for text in ("1", "2"):
        (tmp_path / f"{module}_beside.py").write_text(text)
        digests.append(tasks().source("theirs"))
    assert digests[0] != digests[1]
    (tmp_path / f"{module}-1.0.dist-info" / "INSTALLER").write_text("another")
    assert tasks().source("theirs") == digests[1]


def test_an_editable_package_s_source_is_that_of_its_folder(tmp_path, module, monkeypatch):
    record = [f"__editable__.{module}.pth", f"__editable___{module}_finder.py"]
    install(tmp_path, module, TASK, {"theirs": f"{module}:Mine"}, record=record).unlink()
    project = tmp_path / "project"
    monkeypatch.syspath_prepend(project)
    (project / module).mkdir(parents=True)
    (project / module / "__init__.py").write_text(TASK)
    digests = []
    for text in ("1", "2"):
        (project / module / "w.json").write_text(text)
        (tmp_path / record[0]).write_text(str(project))
        digests.append(tasks().source("theirs"))
    (tmp_path / record[0]).write_text("elsewhere")
    assert digests[0] != digests[1] == tasks().source("theirs")


def test_the_versions_of_what_a_package_needs_are_part_of_its_source(tmp_path, module):
    needs = [f"{module}.needed (>=1)", "srx-no-such-package; extra == 'all'"]
    install(tmp_path, module, TASK, {"theirs": f"{module}:Mine"}, needs=needs)
    install(tmp_path, f"{module}.needed", "", {})
    before = tasks().source("theirs")
    place = tmp_path / f"{module}.needed-1.0.dist-info"
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}.needed\nVersion: 2.0\n")
    assert tasks().source("theirs") != before


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
