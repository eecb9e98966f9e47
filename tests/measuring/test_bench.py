import dataclasses

import pytest

from splitreason_cli.errors import ModelError
from splitreason_cli.measuring.bench import (
    BenchConfig,
    Lineup,
    RandomShareSystem,
    StoredGenerations,
    Watcher,
    bench,
    comparisons,
)
from splitreason_cli.store.artifacts import Store
from tests.older_code import NOTE, older_code

SMALL_RUN = BenchConfig(problems=48, batch_size=24)


def run(store, systems, budgets=(None,), config=SMALL_RUN):
    return {(r.result.system, r.result.offload_budget): r for r in bench(config, Lineup(systems, budgets), store)}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def runs(store):
    return run(store, ["small", "big", "split", "random", "oracle"], [None, 0.03])


def test_who_wrote_what_in_each_system(runs):
    authors = {
        name: {s.author for g in StoredGenerations(r.artifact) for s in g.segments} for (name, _), r in runs.items()
    }
    assert authors == {
        "small": {"small"},
        "big": {"big"},
        "split": {"small", "big"},
        "random": {"small", "big"},
        "oracle": {"small", "big"},
    }
    assert runs["small", None].result.offload_share == 0
    assert runs["big", None].result.offload_share == 1


def test_the_order_of_the_systems_is_the_order_of_their_strength(runs):
    accuracy = {name: r.result.pass_at_1 for (name, budget), r in runs.items() if budget is None}
    assert accuracy["small"] <= accuracy["random"] + 0.05
    assert accuracy["random"] + 0.3 < accuracy["split"] <= accuracy["big"]
    assert accuracy["random"] < accuracy["oracle"]


def test_the_embedded_pair_is_what_the_readme_says(store):
    config = BenchConfig(small="mini-small", hint=False)
    twice = RandomShareSystem(0.094, 3)
    found = {
        r.result.system: r.result
        for r in bench(config, Lineup(["small", "big", "oracle", "random"], chance=twice), store)
    }
    assert 0.10 <= found["small"].pass_at_1 <= 0.30
    assert found["big"].pass_at_1 >= 0.90
    assert found["oracle"].pass_at_1 >= 0.93
    assert found["oracle"].offload_share <= 0.07
    assert found["random"].offload_share >= 1.8 * found["oracle"].offload_share
    assert found["random"].pass_at_1 <= found["small"].pass_at_1 + 0.12
    assert min(result.problems for result in found.values()) >= 400


def test_random_has_the_spans_of_split_under_the_same_budget_sample_by_sample(runs):
    for budget in (None, 0.03):
        split, chance = runs["split", budget], runs["random", budget]
        assert chance.result.policy == "placed"
        assert chance.result.offload_share == pytest.approx(split.result.offload_share, rel=0.35)
        same = 0
        for mine, theirs in zip(StoredGenerations(chance.artifact), StoredGenerations(split.artifact), strict=True):
            lengths, copied = (
                sorted(len(s.token_ids) for s in g.segments if s.author == "big") for g in (mine, theirs)
            )
            same += lengths == copied
            assert len(lengths) <= len(copied)
            assert mine.big_tokens <= theirs.big_tokens
            assert mine.offload_budget == budget
        assert same >= 40
        if budget:
            assert split.result.offload_share <= budget


def test_a_finished_system_is_not_decoded_again(runs, store):
    again = run(store, ["split"])["split", None]
    assert again.cached
    assert again.result == runs["split", None].result


def test_what_decides_verdicts_counts_among_the_libraries(runs):
    assert {"math-verify", "sympy"} <= {*runs["small", None].artifact.info.libraries}


def test_a_model_alone_needs_no_other_and_is_measured_once_for_all_others(store, runs):
    without = dataclasses.replace(SMALL_RUN, big="no/such-model")
    assert run(store, ["small"], config=without)["small", None].cached
    alone = run(store, ["small"], config=dataclasses.replace(without, seed=1))["small", None]
    assert not alone.cached
    assert alone.result.big_tokens == 0
    with pytest.raises(ModelError, match="no/such-model"):
        run(store, ["small", "big"], config=without)


def test_changed_sampling_is_another_run(store, runs):
    config = dataclasses.replace(SMALL_RUN, problems=8, temperature=1.0, samples=2)
    first = run(store, ["split"], config=config)["split", None]
    assert not first.cached
    generations = list(StoredGenerations(first.artifact))
    assert [g.sample for g in generations] == [0] * 8 + [1] * 8
    assert [g.segments for g in generations[:8]] != [g.segments for g in generations[8:]]
    assert first.result.samples == 2
    assert first.result.problems == 8


@pytest.mark.parametrize("after", [1, 30, 47])
def test_an_interrupted_run_resumes_to_what_an_uninterrupted_one_is(tmp_path, after):
    config = dataclasses.replace(SMALL_RUN, samples=2, temperature=0.8, top_p=0.9, problems=24, batch_size=16)
    whole = run(Store(tmp_path / "whole"), ["split", "random"], [0.04], config)
    seen = []

    def interrupt(generations):
        seen.extend(generations)
        if len(seen) >= after:
            raise KeyboardInterrupt

    store = Store(tmp_path / "cut")
    with pytest.raises(KeyboardInterrupt):
        list(bench(config, Lineup(["split", "random"], [0.04]), store, watcher=Watcher(on_generations=interrupt)))
    fresh = []
    watcher = Watcher(on_generations=lambda made: fresh.append(len(made)))
    resumed = list(bench(config, Lineup(["split", "random"], [0.04]), store, watcher=watcher))
    assert fresh[0] == len(seen)
    for one in resumed:
        other = whole[one.result.system, 0.04]
        same = [[dataclasses.replace(g, seconds=0.0) for g in StoredGenerations(run.artifact)] for run in (one, other)]
        assert same[0] == same[1]


def test_after_an_upgrade_samples_are_kept_and_the_artifact_says_so(tmp_path, monkeypatch):
    config = dataclasses.replace(SMALL_RUN, problems=24, batch_size=8)

    def stop(generations):
        if generations:
            raise KeyboardInterrupt

    with monkeypatch.context() as before:
        before.setattr("splitreason_cli.measuring.runner.code_of", older_code)
        with pytest.raises(KeyboardInterrupt):
            list(bench(config, Lineup(["small"]), Store(tmp_path), watcher=Watcher(on_generations=stop)))
    notes, made = [], []
    watcher = Watcher(on_generations=lambda generations: made.append(len(generations)))
    (resumed,) = bench(config, Lineup(["small"]), Store(tmp_path, notes.append), watcher=watcher)
    assert (notes, made) == ([NOTE], [8, 8, 8])
    assert len(resumed.artifact.info.begun) == 1


def test_afresh_every_system_is_decoded_once_more_and_its_copies_copy_the_new_one(tmp_path):
    config = dataclasses.replace(SMALL_RUN, problems=24)
    lineup = Lineup(["split", "entropy"], [None, 0.03])
    old = list(bench(config, lineup, Store(tmp_path)))
    new = list(bench(config, lineup, Store(tmp_path, fresh=True)))
    assert not any(run.cached for run in new)
    assert [run.artifact.path for run in new] == [run.artifact.path for run in old]
    assert all(run.cached for run in bench(config, lineup, Store(tmp_path)))


@pytest.mark.parametrize("finished", [0, 1, 2])
def test_cut_off_afresh_a_run_goes_on_afresh_though_its_store_is_not(tmp_path, finished):
    config, lineup = dataclasses.replace(SMALL_RUN, problems=8), Lineup(["small", "split", "entropy"])
    for _ in bench(config, lineup, Store(tmp_path)):
        pass
    before = {file: file.stat().st_mtime_ns for file in tmp_path.glob("artifacts/bench/*/meta.json")}

    def cut_off(system, total):
        started.append(system)
        if len(started) > finished:
            raise KeyboardInterrupt

    started = []
    with pytest.raises(KeyboardInterrupt):
        list(bench(config, lineup, Store(tmp_path, fresh=True), watcher=Watcher(on_start=cut_off)))
    assert [one.cached for one in bench(config, Lineup(["small"]), Store(tmp_path))] == [True]
    resumed = list(bench(config, lineup, Store(tmp_path)))
    assert [one.cached for one in resumed] == [number < finished for number in range(3)]
    assert len(before) == 4, "the three systems and the small model's entropies"
    assert all(file.stat().st_mtime_ns > then for file, then in before.items())
    assert all(one.cached for one in bench(config, lineup, Store(tmp_path)))


def test_baselines_that_copy_split_come_with_each_of_its_budgets(store):
    config = dataclasses.replace(SMALL_RUN, problems=24)
    lineup = Lineup(["split", "random", "relay", "entropy", "relay(4,60)"], [None, 0.03])
    runs = list(bench(config, lineup, store))
    found = [(one.result.system, one.result.offload_budget) for one in runs]
    copies = ["split", "random", "relay", "entropy"]
    assert found == [("relay(4,60)", None), *((name, budget) for budget in (None, 0.03) for name in copies)]
    assert [one.result.policy for one in runs[:1]] == ["relay(4,60)"]
    split, _, relay, entropy = (one.result for one in runs[1:5])
    assert relay.policy.startswith("relay(3,")
    assert entropy.policy.startswith("entropy(")
    assert 0.7 * split.offload_share <= relay.offload_share <= 1.4 * split.offload_share
    assert 0.3 * split.offload_share <= entropy.offload_share <= 2 * split.offload_share
    (pilot,) = (artifact for artifact in store.artifacts() if "pilot" in artifact.info.config)
    own = {f"measuring/systems/{name}.py": name for name in ("random", "relay", "entropy")}
    for one in runs[1:]:
        # A system's own file is part of what its results depend on, and those of the others are not.
        found = {own[name] for name in one.artifact.info.sources if name in own}
        assert found == {one.result.system} - {"split"}
    # A line of each problem, as one of all would grow beyond what a line may hold.
    assert pilot.records.read_bytes().count(b"\n") == pilot.info.records == 24
    compared = [(c.offload_budget, c.baseline, c.baseline_budget) for c, _ in comparisons(runs)]
    assert compared == [
        (budget, name, None if name == "relay(4,60)" else budget)
        for budget in (None, 0.03)
        for name in ("relay(4,60)", *copies[1:])
    ]


def test_the_policy_of_split_can_be_any(store):
    (run,) = bench(dataclasses.replace(SMALL_RUN, problems=8), Lineup(["split"], policy="relay(2,20)"), store)
    assert run.result.policy == "relay(2,20)"
    spans = [len(s.token_ids) for g in StoredGenerations(run.artifact) for s in g.segments if s.author == "big"]
    assert spans
    assert max(spans) == 2


@pytest.mark.parametrize("budget", [0.0, 1.0])
def test_all_and_nothing_are_budgets(store, budget):
    found = run(store, ["split", "random"], [budget], dataclasses.replace(SMALL_RUN, problems=8))
    assert (found["split", budget].result.big_tokens > 0) == (budget == 1.0)
    assert (found["random", budget].result.big_tokens > 0) == (budget == 1.0)
