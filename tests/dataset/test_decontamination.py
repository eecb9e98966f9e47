from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.dataset import decontamination
from splitreason_cli.dataset.decontamination import NgramIndex

AIME = Path(__file__).parent.parent.parent.parent / "shared" / "data" / "aime24.jsonl"
WORDS = st.lists(st.sampled_from(["alpha", "β", "x_1", "42", "the"]), max_size=14)
BENCHMARK = "Find the number of ways to place nine rooks on a board."


def index(*problems, n=8):
    built = NgramIndex(n)
    for number, problem in enumerate(problems, 1):
        built.add(problem, "bench.jsonl", f"bench.jsonl:{number}")
    return built


def test_eight_common_words_are_a_match_whatever_stands_between_them():
    found = index("unrelated", BENCHMARK).find("Hard: FIND (the) *number*, of ways to place nine knights!")
    assert found.where == "bench.jsonl:2"
    assert found.ngram == "find the number of ways to place nine"
    assert "8-gram 'find the number of ways to place nine' with bench.jsonl:2" in found.reason


def test_seven_common_words_are_none():
    assert index(BENCHMARK).find("Find the number of ways to place ten rooks on a table.") is None
    assert index(BENCHMARK, n=7).find("Find the number of ways to place ten rooks on a table.") is not None


def test_a_benchmark_problem_shorter_than_an_ngram_matches_as_a_whole():
    short = index("What is 2+2?")
    assert short.find("Tell me: what is 2 + 2, please?").reason.startswith(
        "the problem shares all the words 'what is 2 2'"
    )
    assert short.find("What is 2?") is None


def test_a_benchmark_problem_without_words_matches_nothing():
    assert index("∑ + ∫ = ?").find("∑ + ∫ = ? and words") is None


def test_an_index_without_problems_finds_nothing():
    assert index().find(BENCHMARK) is None


@given(WORDS, WORDS, st.integers(1, 9))
def test_a_match_is_exactly_a_common_run_of_words(problem, benchmark, n):
    length = min(n, len(benchmark))

    def runs(words):
        return {tuple(words[start : start + length]) for start in range(len(words) - length + 1)}

    common = runs(problem) & runs(benchmark) if length else set()
    found = index(" ".join(benchmark), n=n).find(" - ".join(problem).upper())
    assert (tuple(found.ngram.split()) if found else None) in (common or {None})


@given(st.lists(WORDS, max_size=5), WORDS, st.integers(1, 4))
def test_what_does_not_fit_into_memory_is_found_all_the_same(benchmark, problem, n):
    problems = [" ".join(words) for words in benchmark]
    expected = index(*problems, n=n).find(" ".join(problem))
    for in_memory in (0, 1, 3):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(decontamination, "IN_MEMORY", in_memory)
            assert index(*problems, n=n).find(" ".join(problem)) == expected


@pytest.mark.skipif(not AIME.exists(), reason="the benchmark's file does not lie beside the repository")
def test_every_aime_problem_is_found_again_in_capitals_and_with_words_around_it():
    problems = [orjson.loads(line)["problem"] for line in AIME.read_bytes().splitlines()]
    found = [index(*problems).find(f"Solve this. {problem.upper()} Thank you.") for problem in problems]
    assert [match.where for match in found] == [f"bench.jsonl:{n}" for n in range(1, len(problems) + 1)]
