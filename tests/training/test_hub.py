import pytest
from huggingface_hub import ModelCard

from splitreason_cli.errors import UsageError
from splitreason_cli.store.artifacts import Recipe
from splitreason_cli.training.card import CARD, published, write_card
from splitreason_cli.training.hub import require_hub
from tests.older_code import NO_CODE


def test_a_card_loads_as_one_of_the_hub_and_names_no_folder_of_this_machine(tmp_path):
    folder = tmp_path / "private" / "my-model"
    folder.mkdir(parents=True)
    config = {"model": str(folder), "big": "http://10.0.0.7:8000/v1", "seed": 0}
    write_card(folder, "grpo", Recipe("train_sft", config, {"in": "a" * 64}, NO_CODE), {"accuracy": 0.5})
    card = ModelCard.load(folder / CARD)
    assert card.data.base_model == "my-model"
    assert (card.data.library_name, card.data.pipeline_tag) == ("transformers", "text-generation")
    assert card.data.tags == ["splitreason", "trl", "grpo"]
    assert "| big | a server |" in card.text
    for secret in (str(tmp_path), "private", "10.0.0.7"):
        assert secret not in str(card)


def test_names_of_the_hub_and_embedded_models_stay(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    assert [published(name) for name in ("owner/name", "mini-small", "./mine", 3)] == [
        "owner/name",
        "mini-small",
        "mine",
        3,
    ]


def test_a_name_that_the_hub_would_refuse_is_refused_before_training(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "secret")
    require_hub("me/my-model")
    with pytest.raises(UsageError, match=r"is no name of a repository\. Write owner/name"):
        require_hub("me/my/model")
