"""What logs of other programs call their columns. Of several names the first that a row fills counts."""

COMPLETIONS = (
    ("completion", "completions", "response", "responses", "generation", "generations"),
    ("output", "outputs", "generated_text", "generated_texts", "model_output", "model_outputs", "predict", "choices"),
    ("prediction", "predictions"),
)
"""Of one rank a row may fill only one; a rank counts where no earlier one is filled, as a prediction beside a
completion is what another program read in it."""

SIGNED = (("text", ("meta_info",)), ("code", ("pred", "gt")))
"""Columns that hold completions where others stand beside them: SGLang's, and those of Qwen2.5-Math's evaluation."""

QUESTIONS = ("problem", "question", "Problem", "Question", "query", "instruction", "input", "prompt", "full_prompt")

ECHOED = ("prompt", "full_prompt", "input", "instruction")
"""What a completion may repeat at its start."""

CHATS = ("messages", "conversations", "conversation")
"""Lists of turns; in a log the last one is the completion."""

GOLDS = (
    "expected_answer",
    "ground_truth",
    "gold_answer",
    "reference_answer",
    "correct_answer",
    "gold",
    "target",
    "gt",
    "gts",
    "answer",
    "Answer",
    "final_answer",
    "reference",
    "label",
    "labels",
    "solution",
)
"""`answer` stands behind names that say more, as some logs call so what the model answered."""

REASONINGS = ("reasoning_content", "reasoning", "thinking")

SYSTEMS = ("system", "model", "model_name", "model_id", "generator")

LABELS = (
    "correct",
    "is_correct",
    "correctness",
    "correctness_math_verify",
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

FINISHES = ("finish_reason", "finish_reasons", "stop_reason", "stop_reasons", "done_reason")

CUTS = ("truncated", "is_truncated")

TOKENS = ("completion_tokens", "tokens", "output_tokens", "num_generated_tokens", "generated_tokens")

IDS = ("custom_id", "problem_id", "idx")
"""Beside those of `layouts.table`."""

ENDS = {
    **dict.fromkeys(("length", "max_tokens", "max_length", "model_length", "max_output_tokens"), "length"),
    **dict.fromkeys(("stop", "eos", "eos_token", "end_turn", "stop_sequence", "stop_token", "completed"), "stop"),
}
"""How a completion ended, in OpenAI's words, by what others call it, in lower case."""
