import importlib.util
import os

import pytest

from splitreason_cli.errors import UsageError
from splitreason_cli.training.reporters import PACKAGES, Reporting


def test_none_and_nothing_report_to_nobody():
    for values in ([], ["none"], ["none,"]):
        assert Reporting.parse(values, "run").arguments()["report_to"] == "none"


def test_an_unknown_package_is_named_with_those_that_are_known():
    with pytest.raises(UsageError, match=r"unknown package 'excel'. Known: tensorboard, trackio, wandb, none"):
        Reporting.parse(["excel"], "run")


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_is_taken_if_it_is_there_and_else_how_to_install_it_is_said(name):
    if importlib.util.find_spec(name):
        assert Reporting.parse([f"{name},none", name], "run").to == (name,)
    else:
        with pytest.raises(UsageError, match=f"{name} is not installed. Install it: pip install {name}"):
            Reporting.parse([f"none,{name}"], "run")


def test_curves_do_not_go_into_the_folder_that_is_deleted(monkeypatch):
    # Set first, so that it is restored to nothing afterwards.
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", "")
    monkeypatch.delenv("TENSORBOARD_LOGGING_DIR")
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    arguments = Reporting(("tensorboard", "wandb"), "my-model").arguments()
    assert arguments == {"report_to": ["tensorboard", "wandb"], "run_name": "my-model", "project": "srx"}
    assert os.environ["TENSORBOARD_LOGGING_DIR"] == os.path.join("runs", "my-model")  # noqa: PTH118
    assert os.environ["WANDB_PROJECT"] == "mine"
