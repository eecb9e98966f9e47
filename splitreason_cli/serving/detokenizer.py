"""Token ids to text, one id at a time: what is final of it so far."""

from collections.abc import Callable, Sequence

Decode = Callable[[Sequence[int]], str]
"""Token ids to text, without cleaning up spaces. Characters that the ids leave incomplete become U+FFFD."""

_REPLACEMENT = "\ufffd"

_PATIENCE_TOKENS = 8
"""A character has at most four bytes and every token at least one, so a U+FFFD this old will stay one."""

_TRIM_TOKENS = 8
_WINDOW_TOKENS = 64
"""Where the window is cut even in the middle of a character, so that decoding garbage does not become quadratic."""


class Detokenizer:
    """Turns ids into text that later ids cannot change.

    Decoding ids one by one is wrong in two ways: a character may be cut between tokens, and some tokenizers drop the
    space before the first token. So a short window of ids is decoded again and again, what was already told is left
    out, and a trailing U+FFFD is held back as long as later ids may complete it.

    Args:
        context: ids that precede the first one, such as the prompt's last few; their text is not told.
    """

    def __init__(self, decode: Decode, context: Sequence[int] = ()) -> None:
        self._decode = decode
        self._window: list[int] = []
        self._told = 0
        self._chunk = (0, 0)
        self._held = 0
        self._restart(list(context[-_TRIM_TOKENS:]))

    def push(self, token: int) -> str:
        """The text that this id makes final; often empty, sometimes that of earlier ids too."""
        self._window.append(token)
        if len(self._window) > _WINDOW_TOKENS:
            return self.flush()
        text = self._decode(self._window)
        end = len(text.rstrip(_REPLACEMENT))
        if end == len(text):
            return self._complete(text)
        self._held += 1
        if self._held > _PATIENCE_TOKENS:
            # All but the last one, which the next id may still complete.
            end = len(text) - 1
        elif end > self._told:
            self._held = 1
        piece = text[self._told : end]
        self._told = max(self._told, end)
        return piece

    def flush(self) -> str:
        """What is held back, final or not: no id will follow, or another model writes on."""
        piece = self._decode(self._window)[self._told :]
        self._restart(self._last_chunk())
        return piece

    def _complete(self, text: str) -> str:
        piece = text[self._told :]
        self._told, self._held = len(text), 0
        self._chunk = (self._chunk[1], len(self._window))
        if len(self._window) > _TRIM_TOKENS:
            self._restart(self._last_chunk())
        return piece

    def _last_chunk(self) -> list[int]:
        """The last ids that were whole characters. What came after them is half of one, and no context."""
        start, end = self._chunk
        return self._window[start:end]

    def _restart(self, window: list[int]) -> None:
        text = self._decode(window) if window else ""
        self._window, self._told = ([], 0) if text.endswith(_REPLACEMENT) else (window, len(text))
        self._chunk = (0, len(self._window))
        self._held = 0
