"""Which columns of public datasets hold what.

`ANY` reads most by the names of their columns: OpenR1-Math-220k, Mixture-of-Thoughts, OpenThoughts-114k and its
successors, Bespoke-Stratos, OpenMathReasoning, AceReason, AM-DeepSeek-R1-Distilled, prompt and completion, benchmarks.
`LAYOUTS` lists those in which a name means something else, or of which their makers say more than their columns do.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ..records.data import KINDS

Columns = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class RowLayout:
    """The columns of a dataset by their roles. Roles that it does not name are found by the general rules.

    Args:
        has: columns that all its rows have.
        lacks: columns that none of them has.
        columns: candidates for each role, best first; of `generations` all are taken. Without any there is none.
        only: a row has no further columns, but for an id.
        unmarked: its solutions are thinking also where no mark says so.
        verified: its makers kept right solutions only, so that it needs no labels.
    """

    name: str
    has: tuple[str, ...]
    columns: Columns
    lacks: tuple[str, ...] = ()
    only: bool = False
    unmarked: bool = False
    verified: bool = False

    def fits(self, row: Mapping[str, object]) -> bool:
        """Whether a row has this layout's columns."""
        others = set(row) - set(self.has) - set(ANY.columns["id"])
        return all(name in row for name in self.has) and not others & set(self.lacks) and not (self.only and others)

    def candidates(self, role: str) -> tuple[str, ...]:
        """The columns that may hold this, best first."""
        return self.columns.get(role, ANY.columns[role])


ANY = RowLayout(
    "any",
    (),
    {
        "problem": ("problem", "question", "Problem", "Question", "prompt", "input", "query", "instruction"),
        "answer": (
            "final_answer", "expected_answer", "ground_truth", "gold_answer", "reference_answer", "correct_answer",
            "gold", "answer", "Answer", "Final Answer", "target", "reward_model.ground_truth",
        ),
        "annotated": ("annotated_generations",),
        "generations": ("generations", "completions", "responses", "outputs", "solutions"),
        "reasoning": (
            "reasoning", "reasoning_content", "thinking", "thinking_trajectory", "think", "thought", "cot",
            "chain_of_thought", "Complex_CoT",
        ),
        "response": ("response", "Response", "attempt", "final"),
        "completion": (
            "completion", "generation", "output", "generated_solution", "response", "llm_response", "model_output",
            "solution", "Solution", "answer", "text",
        ),
        "messages": ("messages", "conversations", "conversation"),
        "correct": ("correctness_math_verify", "correctness_llama", "correctness", "is_correct", "correct"),
        "id": ("id", "ID", "unique_id", "problem_idx", "uuid"),
    },
)  # fmt: skip
"""The rules for what nobody listed. In some datasets `answer` is what a model answered, so that it is asked last."""

RECORD = RowLayout("record", (), {"problem": ("problem",), "answer": ("answer",)})
"""Our own records."""

LAYOUTS = (
    RowLayout(
        "OpenThoughts-114k, metadata",
        ("problem", "deepseek_reasoning"),
        {
            "answer": ("ground_truth_solution",),
            "reasoning": ("deepseek_reasoning",),
            "response": ("deepseek_solution",),
        },
    ),
    RowLayout(
        "s1K-1.1",
        ("question", "deepseek_thinking_trajectory"),
        {
            "answer": ("solution",),
            "reasoning": ("deepseek_thinking_trajectory",),
            "response": ("deepseek_attempt",),
            "correct": ("deepseek_grade",),
        },
    ),
    RowLayout(
        "s1K",
        ("question", "thinking_trajectories"),
        {"answer": ("solution",), "reasoning": ("thinking_trajectories",), "response": ("attempt",)},
    ),
    RowLayout(
        "DeepMath-103K",
        ("question", "r1_solution_1"),
        {"generations": ("r1_solution_1", "r1_solution_2", "r1_solution_3")},
        unmarked=True,
        verified=True,
    ),
    RowLayout(
        "Dolphin-R1",
        ("messages", "reasoning", "answer"),
        {"answer": (), "response": ("answer",)},
        lacks=("problem", "question"),
    ),
    RowLayout(
        "SYNTHETIC-1",
        ("prompt", "llm_response", "score"),
        {"completion": ("llm_response",), "answer": ("gold_standard_solution",), "correct": ("score",)},
    ),
    RowLayout("Multilingual-Thinking", ("analysis", "final"), {"reasoning": ("analysis",)}),
    RowLayout("reasoning_content and content", ("reasoning_content", "content"), {"response": ("content",)}),
    RowLayout("LIMO", ("question", "solution", "answer"), {"completion": ("solution",)}, only=True, unmarked=True),
)

WORKED = ("solution", "Solution", "ground_truth_solution", "gold_standard_solution")
"""Worked solutions: they are no answer, but may end with one."""

MARKED_ONLY = ("answer", "text")
"""Columns that hold a trace only where marks show its thinking."""

REST_OF_PROBLEM = (
    "choices", "options", "B", "context", "passage", "image", "images", "image_1", "decoded_image", "Picture",
)  # fmt: skip
"""Columns without which a question is not whole."""

TOGETHER = ("instruction", "input")
"""Columns that are one question where a row has both."""

NOTHING = ("-", "n/a", "na", "none", "null", "nan")
"""What stands in public data where a column of texts has none, in small letters."""

SWITCHES = ("on", "off")
"""What a column `reasoning` holds where it says only whether the model was to think."""


def layout_for(row: Mapping[str, object]) -> RowLayout:
    """The first layout that fits a row."""
    if row.get("kind") in KINDS:
        return RECORD
    return next((layout for layout in LAYOUTS if layout.fits(row)), ANY)
