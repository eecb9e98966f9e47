"""Policies of other packages."""

import sys

import pytest

from splitreason_cli.decoding.plugins import load_policies, policy_source
from splitreason_cli.split.policies import Never, PolicyContext, make_policy

SOURCE = "from splitreason_cli.split.policies import Never\n\ndef make(context, *arguments):\n    return Never()\n"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that is installed, with a policy `mine`; returns its file."""
    (tmp_path / "my_policies.py").write_text(SOURCE)
    installed = tmp_path / "my_policies-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: my-policies\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[srx.policies]\nmine = my_policies:make\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / "my_policies.py"
    sys.modules.pop("my_policies", None)


def test_a_policy_of_another_package_is_known_by_its_name(package):
    assert isinstance(make_policy("mine", load_policies(), PolicyContext(lambda ids: "")), Never)


def test_results_depend_on_the_file_that_a_policy_is_in(package):
    before = policy_source("mine")
    package.write_text(SOURCE + "# changed\n")
    assert before
    assert policy_source("mine") not in ("", before)
    assert policy_source("learned") == ""
