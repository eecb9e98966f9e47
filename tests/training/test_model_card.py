import dataclasses

from splitreason_cli.records import markup
from splitreason_cli.records.data import GrpoStep, TrainStep
from splitreason_cli.training.model_card import TrainingRun, body, grpo_measures, sft_measures

RUN = TrainingRun(
    method="sft",
    config={"model": "some/small", "tags": "special", "packing": True},
    inputs={"in": "a" * 64},
    versions={"srx": "1.0"},
    measures={"loss of the last step": 0.25},
)


def test_a_card_says_how_to_use_the_model_what_the_tags_mean_and_what_made_it():
    card = body(RUN)
    assert "srx serve --small FOLDER --big BIG" in card
    assert f"`{markup.OPEN}`" in card
    assert f"`{markup.CLOSE}`" in card
    for row in ("| model | some/small |", "| packing | yes |", f"| in | {'a' * 64} |", "| srx | 1.0 |"):
        assert row in card
    assert "| loss of the last step | 0.25 |" in card


def test_the_big_model_of_the_rollouts_is_the_one_to_serve_with():
    card = body(dataclasses.replace(RUN, method="grpo", config={"model": "small", "big": "some/big"}))
    assert "srx serve --small FOLDER --big some/big" in card


def test_a_solo_run_does_not_claim_the_big_model_s_part():
    card = body(dataclasses.replace(RUN, method="grpo", config={"model": "small", "big": "big", "rollout": "solo"}))
    assert "wrote the big model's part of its rollouts itself" in card
    assert "big model writing in every rollout" not in card


def test_text_tags_are_not_offered_for_serving():
    card = body(dataclasses.replace(RUN, config={"model": "small", "tags": "text"}))
    assert "srx serve" not in card
    assert "ordinary text" in card


def test_a_cell_cannot_break_out_of_its_table():
    card = body(dataclasses.replace(RUN, config={"model": "a|b\nc"}))
    assert "| model | a\\|b c |" in card


def test_measures_are_those_of_the_last_steps():
    steps = [TrainStep(step=n, loss=float(n), learning_rate=0.1) for n in range(1, 31)]
    assert sft_measures(steps) == {
        "optimizer steps": 30,
        "loss of the first step": 1.0,
        "loss of the last step": 30.0,
        "loss, mean of the last 10 steps": 25.5,
    }
    assert sft_measures([]) == grpo_measures([]) == {}
    step = GrpoStep(
        step=1,
        loss=0.0,
        learning_rate=0.1,
        reward=0.5,
        accuracy=0.75,
        share=0.125,
        spans=1.0,
        span_tokens=2.0,
        closed=1.0,
        price=1.0,
    )
    measures = grpo_measures([step])
    assert measures["accuracy, mean of the last 1 steps"] == 0.75
    assert measures["share, mean of the last 1 steps"] == 0.125
