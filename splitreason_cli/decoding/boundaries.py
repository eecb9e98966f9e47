"""Where a span may well end: at the end of a line or of a sentence."""

import functools
from collections.abc import Callable, Sequence

from ..models.pair import Pair

_SENTENCE_ENDS = (".", "!", "?", ":", ";", "]", "\n")


def boundaries(pair: Pair) -> Callable[[Sequence[int], int], bool]:
    """Tells whether a line or a sentence ends with the first so many of the big model's tokens of a span."""

    @functools.cache
    def token_text(token: int) -> str:
        return pair.decode["big"]([token])

    def is_boundary(span: Sequence[int], offset: int) -> bool:
        if offset < len(span) and token_text(span[offset]).startswith("\n"):
            return True
        return token_text(span[offset - 1]).rstrip(" ").endswith(_SENTENCE_ENDS)

    return is_boundary
