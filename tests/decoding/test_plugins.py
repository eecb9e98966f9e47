"""Policies of other packages."""

import sys

import pytest

from splitreason_cli.decoding.plugins import load_policies, policy_source, usable_policies
from splitreason_cli.split.policies import POLICIES, Never, PolicyContext, make_policy

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


def test_only_policies_that_can_be_imported_are_usable_and_each_is_imported_once(package):
    package.write_text(f"{SOURCE}\nwith open(__file__ + '.log', 'a') as log:\n    log.write('imported')\n")
    reasons = []
    policies = usable_policies(reasons.append)
    assert isinstance(make_policy("mine", policies, PolicyContext()), Never)
    assert (set(policies), reasons) == ({*POLICIES, "mine"}, [])
    assert package.with_name("my_policies.py.log").read_text() == "imported"


def test_a_policy_that_cannot_be_imported_is_left_out_with_its_reason(package):
    package.write_text("raise OSError('no such disk')")
    reasons = []
    policies = usable_policies(reasons.append)
    package.write_text(SOURCE)
    assert set(policies) == set(POLICIES)
    assert len(reasons) == 1
    assert "of the package my-policies cannot be loaded (OSError: no such disk)" in reasons[0]
