"""Whether a server refuses one input, which it will refuse for ever, or the way in which it is asked.

Servers agree on no status and no code for it, so their words are read: those of OpenAI, Azure, DeepSeek, OpenRouter,
Together, vLLM, SGLang and llama.cpp are known.
"""

import re

_TOO_LONG = re.compile(
    r"context[ _](length|window|size|limit)"
    r"|max(imum)?[ _](context|prompt|input|sequence|model)[ _]?(len|size|window|token)"
    r"|(prompt|input|request|messages?)( text| entity)?( is| are| was)? too (long|large)"
    r"|too many (input |prompt )?tokens"
    r"|longer than the (model|maximum)|reduce the (length|prompt|input)|string_above_max_length|request_too_large"
    r"|inputs?`? tokens\b[^.]{0,60} must be"
    r"|(prompt|input)\b[^.]{0,40}exceed|exceed[^.]{0,40}(input|prompt|sequence|context)",
    re.IGNORECASE,
)
_FLAGGED = re.compile(
    r"content[ _-]?(filter|polic|management|moderation)|flagged|moderat(ion|ed)|responsible ?ai|data_?inspection"
    r"|inappropriate|content exists risk|sensitive (content|word|info)|safety[ _](system|filter|polic|setting|reason)"
    r"|prohibited[ _]content|harmful|violat\w+ [^.]{0,40}(polic|terms|guideline)|invalid_prompt|usage polic",
    re.IGNORECASE,
)
_OF_THE_CALLER = re.compile(r"\b(your|this) (account|organi[sz]ation|api key|key|project|user)\b", re.IGNORECASE)

REMEDIES = {401: "the key", 402: "the account's balance", 403: "the key's rights", 404: "--model and --base-url"}
"""What to check where every call meets this HTTP status."""

FATAL = (401, 402)
"""HTTP statuses that no input and no option is the reason of."""

_PASSING = (408, 409, 425, 429)


def is_of_input(text: str) -> bool:
    """Whether a refusal's words blame the input: its length, or what it says."""
    if _OF_THE_CALLER.search(text):
        return False
    return bool(_TOO_LONG.search(text) or _FLAGGED.search(text))


def is_refusal(status: int) -> bool:
    """Whether the same request would meet the status again."""
    return 400 <= status < 500 and status not in _PASSING
