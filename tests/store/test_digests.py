import dataclasses
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import splitreason_cli
from splitreason_cli.errors import MachineError
from splitreason_cli.records.data import Code
from splitreason_cli.store.digests import closure, code_of, versions

FILES = {
    "__init__.py": "",
    "verb.py": """
from typing import TYPE_CHECKING
import json, pack.absolute
from .tools import hammer
from . import plain
if TYPE_CHECKING:
    from .typed import Nothing
else:
    from .untyped import Something
def run():
    with open("x") as stream:
        try:
            from .deep.down import well
        except ImportError:
            from .deep import fallback as other
""",
    "absolute.py": "import os.path, numpy",
    "plain.py": "",
    "untyped.py": "",
    "typed.py": "",
    "server.py": "from . import verb",
    "tools/__init__.py": "from ..above import thing",
    "tools/hammer.py": "from . import nails",
    "tools/nails.py": "",
    "tools/saw.py": "",
    "above.py": "",
    "deep/__init__.py": "fallback = 1",
    "deep/down.py": "from .. import verb",
}
MEANT = ["__init__.py", "above.py", "absolute.py", "deep/__init__.py", "deep/down.py", "plain.py", "tools/__init__.py"]
MEANT += ["tools/hammer.py", "tools/nails.py", "untyped.py", "verb.py"]


@pytest.fixture
def package(tmp_path):
    for name, text in FILES.items():
        file = tmp_path / "pack" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path / "pack"


def test_a_closure_is_what_is_imported_wherever_the_import_stands(package):
    assert list(closure("pack.verb", package)) == MEANT


@pytest.mark.parametrize("name", FILES)
def test_a_comment_counts_in_the_files_of_the_closure_and_in_no_other(package, name):
    before = closure("pack.verb", package)
    (package / name).write_text(f"{FILES[name]}\n# A comment.\n")
    after = closure("pack.verb", package)
    assert [file for file in before if before[file] != after[file]] == ([name] if name in MEANT else [])
    assert list(before) == list(after)


@pytest.mark.parametrize(
    ("text", "missing"),
    [("from .nothing import x", "pack.nothing"), ("import pack.no.thing", "pack.no.thing"), ("from ... import x", "")],
)
def test_a_module_that_is_not_there_is_an_error_and_no_smaller_closure(package, text, missing):
    (package / "verb.py").write_text(text)
    with pytest.raises(MachineError, match=f"no source of the module {missing}"):
        closure("pack.verb", package)


@pytest.mark.parametrize("module", ["pack.gone", "pack", "other.verb", ""])
def test_no_closure_is_empty(tmp_path, module):
    (tmp_path / "pack").mkdir()
    with pytest.raises(MachineError, match="no source of the module"):
        closure(module, tmp_path / "pack")


def test_another_version_of_a_library_is_other_code():
    one, two = (
        Code(sources={"a.py": "1"}, libraries=versions(["torch", "trl"], {"torch": torch}.get))
        for torch in ("2.13.0", "2.13.1")
    )
    assert one.libraries == {"torch": "2.13.0", "trl": None}
    assert one.digest != two.digest
    assert one.digest != dataclasses.replace(one, sources={"a.py": "2"}).digest


def verbs():
    """The modules that declare what an artifact is made with."""
    root = Path(splitreason_cli.__file__).parent
    found = [
        ".".join(file.relative_to(root.parent).with_suffix("").parts)
        for file in sorted(root.rglob("*.py"))
        if "code_of(__name__" in file.read_text("utf-8")
    ]
    assert len(found) == 5, found
    return found


@pytest.mark.parametrize("module", verbs())
def test_a_verb_runs_on_its_own_file_and_on_no_server_or_command(module):
    sources = code_of(module).sources
    own = Path(importlib.import_module(module).__file__)
    files = {own.parents[1] / name for name in sources}
    assert own in files
    assert all(file.is_file() for file in files)
    for elsewhere in ("splitreason_cli.serving.http_api", "splitreason_cli.training.hub", "splitreason_cli.cli"):
        assert Path(importlib.import_module(elsewhere).__file__) not in files


@pytest.mark.parametrize("module", verbs())
def test_whatever_importing_a_verb_loads_is_in_its_closure(module):
    top = module.partition(".")[0]
    code = (
        f"import sys, {module}; print(*[m.__file__ for n, m in sys.modules.items() if n.partition('.')[0] == '{top}'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    package = Path(sys.modules[top].__path__[0])
    loaded = {Path(file).relative_to(package).as_posix() for file in done.stdout.split()}
    assert loaded
    assert loaded <= {*code_of(module).sources}
