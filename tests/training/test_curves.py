from splitreason_cli.records.data import GrpoStep
from splitreason_cli.training.curves import write_curves


def steps(**last):
    fields = {
        "loss": 0.0,
        "learning_rate": 0.0,
        "reward": 0.8,
        "accuracy": 0.9,
        "share": 0.1,
        "spans": 1.0,
        "price": 1.0,
        "span_tokens": 3.0,
        "closed": 1.0,
    }
    return [*(GrpoStep(step=number, **fields, unclosed=0.0) for number in range(1, 24)), GrpoStep(**fields | last)]


def test_curves_show_the_budget_and_where_a_policy_collapsed(tmp_path):
    path = tmp_path / "curves.svg"
    write_curves(path, steps(step=24, unclosed=1.0, warning="it never hands over"), 0.05)
    drawn = path.read_text(encoding="utf-8")
    for text in ("accuracy", "reward", "offload share", "budget", "not closed by the policy", "it never hands over"):
        assert f"<!-- {text} -->" in drawn


def test_curves_need_neither_a_budget_nor_what_older_runs_did_not_log(tmp_path):
    write_curves(tmp_path / "curves.svg", steps(step=24), None)
    assert "<!-- budget -->" not in (tmp_path / "curves.svg").read_text(encoding="utf-8")
    write_curves(tmp_path / "one.png", steps(step=24)[-1:], 0.05)
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")
