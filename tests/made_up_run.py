"""A small benchmark run, made up for tests of what shows one."""

from splitreason_cli.records.data import BenchComparison, BenchResult, Generation, Segment

HOSTILE = "</script><script>document.title = 'owned'</script><img src=x onerror=\"document.title='owned'\"><!--"
"""What a model or a file may say to a page."""


def result(system="split", share=0.05, budget=None, **changed):
    values = {
        "policy": "learned",
        "task": "mini",
        "problems": 10,
        "samples": 1,
        "pass_at_1": 0.9,
        "ci95": (0.8, 0.95),
        "tokens": 1000,
        "big_tokens": 50,
        "seconds": 1.0,
    }
    return BenchResult(system=system, offload_share=share, offload_budget=budget, **{**values, **changed})


def generation(problem="a", sample=0, correct=True, words=("x < y ", "is big ", "after"), system="split", **changed):
    """`problem` is its id; `words` are written by small, big, small and so on, a token each."""
    segments = tuple(
        Segment(author=("small", "big")[number % 2], token_ids=(number,), text=text)
        for number, text in enumerate(words)
    )
    big = len(words) // 2
    values = {
        "problem": f"problem {problem}",
        "answer": "1",
        "finish_reason": "stop",
        "refused": 0,
        "cut": 0,
        "unclosed": 0,
        "seconds": 0.1,
    }
    return Generation(
        id=problem,
        system=system,
        sample=sample,
        correct=correct,
        tokens=len(words),
        segments=segments,
        big_tokens=big,
        spans=big,
        **{**values, **changed},
    )


def comparison(difference=0.1, ci95=(0.02, 0.2), p_value=0.01):
    return BenchComparison(
        task="mini",
        system="split",
        offload_budget=0.05,
        baseline="small",
        baseline_budget=None,
        difference=difference,
        ci95=ci95,
        p_value=p_value,
        problems=10,
    )
