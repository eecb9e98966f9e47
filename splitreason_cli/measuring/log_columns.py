"""What logs of other programs call their columns, beside the names of `layouts.table`.

Of several names the first that a row fills counts.
"""

from ..layouts.table import ANY, WORKED
from ..records.lessons import ENDS_OF_CUT

COMPLETIONS = (
    (
        "completion", "completions", "response", "responses", "llm_response", "generation", "generations",
        "generated_solution",
    ),
    ("output", "outputs", "generated_text", "generated_texts", "model_output", "model_outputs", "predict", "choices"),
    ("prediction", "predictions"),
)  # fmt: skip
"""Of one rank a row may fill only one; a rank counts where no earlier one is filled, as a prediction beside a
completion is what another program read in it."""

SIGNED = (("text", ("meta_info",)), ("code", ("pred", "gt")))
"""Columns that hold completions where others stand beside them: SGLang's, and those of Qwen2.5-Math's evaluation."""

ECHOED = ("instruction", "input", "prompt", "full_prompt")
"""What a completion may repeat at its start; a template stands around the problem in the last ones."""

QUESTIONS = (*(name for name in ANY.columns["problem"] if name not in ECHOED), *ECHOED)

CHATS = ANY.columns["messages"]
"""Lists of turns; in a log the last one is the completion."""

_OF_MODELS = ("answer", "Answer", "final_answer", "Final Answer")
"""Some logs call so what the model answered, so that names that say more go before them."""

GOLDS = (
    *(name for name in ANY.columns["answer"] if name not in _OF_MODELS),
    *("gt", "gts", *_OF_MODELS, "reference", "label", "labels", *WORKED),
)

SYSTEMS = ("system", "model", "model_name", "model_id", "generator")

LABELS = (
    *ANY.columns["correct"],
    "exact_match",
    "extractive_match",
    "math_verify",
    "symbolic_correct",
    "acc",
    "accuracy",
    "score",
    "scores",
    "passed",
    "label",
    "labels",
)
"""What another program made of a completion: true or false, 1 or 0, or for several their mean."""

TRUTHS = {"c": 1.0, "correct": 1.0, "true": 1.0, "yes": 1.0, "i": 0.0, "incorrect": 0.0, "false": 0.0, "no": 0.0}
"""Labels in words, in lower case."""

TOKENS = ("completion_tokens", "tokens", "output_tokens", "num_generated_tokens", "generated_tokens")

IDS = ("custom_id", "problem_id", "idx")
"""Beside those of `layouts.table`."""

ENDS = {
    **dict.fromkeys(ENDS_OF_CUT, "length"),
    **dict.fromkeys(("stop", "eos", "eos_token", "end_turn", "stop_sequence", "stop_token", "completed"), "stop"),
}
"""How a completion ended, in OpenAI's words, by what others call it, in lower case."""
