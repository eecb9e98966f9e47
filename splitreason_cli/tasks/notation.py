r"""How answers are written down: frames around them, Unicode and plain text in place of LaTeX.

Nothing here decides what is right; what is LaTeX already comes back as it is.
"""

import re
import unicodedata
from functools import lru_cache

_FONTS = (
    *("text", "textbf", "textrm", "textit", "textsf", "textnormal", "emph", "underline", "mbox", "hbox", "ensuremath"),
    *("mathrm", "mathbf", "mathit", "mathsf", "boldsymbol", "bm", "boxed", "fbox", "framebox"),
)
_FRAMES = (
    *((f"\\{name}{{", "}") for name in _FONTS),
    *((mark, mark) for mark in ("**", "__", "*", "_", "`", "$$", "$")),
    *(("\\(", "\\)"), ("\\[", "\\]"), ("{", "}")),
)
_COLOURED = re.compile(r"\\(?:text)?color\s?\{[^{}]*\}|\\bbox\s?(?:\[[^\[\]]*\])?|\\(?:color|text)box\s?\{[^{}]*\}")
_MOST_FRAMES = 8

_TEXT = r"\\(?:text(?:bf|rm|it|sf|normal|tt)?|emph|mbox|hbox|mathrm|mathbf|mathit|mathsf|boldsymbol|bm)\s?\{([^{}]*)\}"
TEXT = re.compile(_TEXT)
"""A command that sets its argument as text; the argument is the first group."""

SPACE = re.compile(r"\\(?:[,;:! ]|quad(?![A-Za-z])|qquad(?![A-Za-z])|hspace\{[^{}]*\})|[\s~\u200b\u2060\ufeff]")
"""White space of LaTeX and Unicode."""

_SYMBOLS = str.maketrans(
    {
        **dict.fromkeys("\u2212\u2010\u2011\u2012\u2013\u2014\ufe63", "-"),
        **dict.fromkeys("\u00d7\u2715", r"\times "),
        **dict.fromkeys("\u00b7\u22c5\u2219\u2022", r"\cdot "),
        **dict.fromkeys("\u00f7\u2044\u2215", "/"),
        **dict.fromkeys("\u2018\u2019\u2032", "'"),
        **dict.fromkeys("\u201c\u201d", '"'),
        **dict.fromkeys("\u20ac\u00a3\u00a5\u20b9", ""),
        **dict.fromkeys("\u00b0\u00ba\u02da", r"^{\circ}"),
        **{"\u03c0": r"\pi ", "\u221e": r"\infty ", "\u2264": r"\le ", "\u2265": r"\ge ", "\u2260": r"\neq "},
        **{"\u222a": r"\cup ", "\u2229": r"\cap ", "\u2208": r"\in ", "\u2205": r"\emptyset ", "\u2026": r"\ldots "},
        **{"\u00b1": r"\pm ", "\u03b8": r"\theta ", "\u03b1": r"\alpha ", "\u03b2": r"\beta ", "\u03b3": r"\gamma "},
        **{"\u03bb": r"\lambda ", "\u03bc": r"\mu ", "\u03c6": r"\phi ", "\u03c9": r"\omega ", "\u211d": r"\mathbb{R}"},
        **{
            "\u2236": ":",
            "\u3001": ",",
            "\u3002": ".",
            "\u6216": " or ",
            "\u548c": " and ",
            "\u22ef": r"\cdots ",
            "\u221b": r"\sqrt[3]",
            "\u2061": "",
            "\u2062": "",
            "\u2211": r"\sum ",
        },
    }
)
_RAISED = "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207a\u207b\u207d\u207e\u207f"
_LOWERED = "\u2080\u2081\u2082\u2083\u2084\u2085\u2086\u2087\u2088\u2089\u208a\u208b\u208d\u208e"
_RAISED_RUN, _LOWERED_RUN = re.compile(f"[{_RAISED}]+"), re.compile(f"[{_LOWERED}]+")
_DIGITS = str.maketrans(_RAISED + _LOWERED, "0123456789+-()n0123456789+-()")
_VULGAR = re.compile("[\u00bc-\u00be\u2150-\u215f\u2189]")
_WIDE = re.compile("[\uff01-\uff5e]")
_ROOT = re.compile(r"(?:\u221a|(\\sqrt\[3\]))\s*(?:(\d+(?:\.\d+)?|[A-Za-z]|\\[A-Za-z]+)|(?=[({]))")

_WORDS = re.compile(
    r"(?<![\\A-Za-z])(pi|theta|alpha|beta|gamma|lambda|phi|omega|(?:arc|a)(?:sin|cos|tan)|(?:sin|cos|tan)h?|cot|sec|csc|ln|log"
    r"|infty|infinity|oo|inf)(?![A-Za-z])"
)
_SAME = {
    **{"infinity": "infty", "oo": "infty", "inf": "infty"},
    **{"asin": "arcsin", "acos": "arccos", "atan": "arctan"},
}
_CALL = re.compile(r"(?<![\\A-Za-z])(sqrt|cbrt|exp|abs)\s*\(|\\sqrt(?:\[\d\])?\(|\^\s*\(|[()]")
_OPENED = {"sqrt": r"\sqrt{", "cbrt": r"\sqrt[3]{", "exp": "e^{", "abs": r"\left|"}
_EDITS = (
    (re.compile(r"\A\s*[+\-]?\d+(?:\s+[+\-]?\d+)+\s*\Z"), lambda match: ", ".join(match.group().split())),
    (re.compile(r"(?<![\\*])\*\*(?=[\s\w({+\-])"), "^"),
    (re.compile(r"(?<=[\w)}\s])\*(?=[\s\w({\\+\-])"), r" \\cdot "),
    (re.compile(r"\^\s*([+\-]?\d\d+|[+\-]\d)(?![\d.])"), r"^{\1}"),
    (re.compile(r"(?<![A-Za-z\\\d.])(\d+(?:\.\d*)?|\.\d+)[eE](\d+|[+\-]\d\d+)(?![\w.])"), r"\1 \\cdot 10^{\2}"),
    (re.compile(r"\\degrees?(?![A-Za-z])"), r"^{\\circ}"),
    (re.compile(r"(?<=[\d\s])[xX]\s?(?=10\s?\^)"), r" \\times "),
    (re.compile(r"(?:\{|\A)([^{}\\]{1,40})\\choose(?![A-Za-z])([^{}\\]{1,40})(?:\}|\Z)"), r"\\binom{\1}{\2}"),
    (re.compile(r"(?<![A-Za-z\d.\\])(\d+|[a-z]) choose (\d+|[a-z])(?![A-Za-z\d.])"), r"\\binom{\1}{\2}"),
    (re.compile(r"(?<![\d.])(\d+)\s+(\d+)\s?/\s?(\d+)(?![\d.])"), r"\1\\frac{\2}{\3}"),
    (re.compile(r"(?<=\d)\s?i(?![A-Za-z])"), " i"),
    (re.compile(r"(?<![\\A-Za-z])sqrt\s?(\d+)"), r"\\sqrt{\1}"),
    (re.compile(r"(?<![\\A-Za-z])sqrt(?=\{)"), r"\\sqrt"),
    (re.compile(r"<="), r"\\le "),
    (re.compile(r">="), r"\\ge "),
    (re.compile(r"!="), r"\\neq "),
    (re.compile(r"(?<!\\);"), ","),
    (re.compile(r"(?<!\\)\$"), ""),
)
_MAGNITUDES = {"thousand": 3, "million": 6, "billion": 9, "trillion": 12}


def _magnitude(match: re.Match[str]) -> str:
    return rf" \cdot 10^{{{_MAGNITUDES[match[1]]}}} "


_REALS, _CONDITION = r"(?:\\in\s*\\mathbb\s*\{?R\}?\s*)?", r"(?:[^\s\\}]|\s(?!\s)|\\(?!\}))+"
r"""Of a set such as `\{x \in \mathbb{R} \mid x < 3\}`, whose braces may be missing."""
_WHOLE_EDITS = (
    (re.compile(r"(?<=\d)\^\s?(?:\{\s?o\s?\}|o(?![A-Za-z]))"), r"^{\\circ}"),
    (re.compile(r"(?<=\d)\s*(?:\\text\s?\{)?\s*(thousand|million|billion|trillion)\b\s*\}?"), _magnitude),
    (re.compile(r"\^\s?(?:\\circ|\{\s?\\circ\s?\})\s?(?:[CF](?![A-Za-z])|\\(?:text|mathrm)\{\s?[CF]\s?\})"), ""),
    (re.compile(r"(?<=\d)\s?\^\s?\{?\s?(?:\\(?:text|textrm|mathrm)\s?\{)?\s?(?:th|st|nd|rd)\b\s?\}{0,2}"), ""),
    (re.compile(r"(?<=\d)(?:th|st|nd|rd)\b"), ""),
    (re.compile(r"\\varnothing(?![A-Za-z])"), r"\\emptyset"),
    (re.compile(rf"\A\\?\{{\s*([a-z])\s*{_REALS}(?:\\mid|\\vert|\||:)\s*({_CONDITION})\\?\}}\Z"), r"\2"),
    (re.compile(rf"\A([a-z])\s*{_REALS}(?:\\mid|\\vert|\|)\s*(?=[^|]*(?:[<>]|\\[lg]e))({_CONDITION})\Z"), r"\2"),
    (re.compile(r"\A\\\{\s*(\([^()]*\))\s*\\\}\Z"), r"\1"),
)
_REPEATING = re.compile(
    r"(?<![\d.,])(?P<whole>\d*)\.(?P<once>\d*)"
    r"(?:\\(?:overline|bar)\s?\{?(?P<barred>\d+)\}?|\((?P<bracketed>\d+)\)"
    r"|\\dot\s?\{?(?P<first>\d)\}?(?:(?P<middle>\d*)\\dot\s?\{?(?P<last>\d)\}?)?)"
)
_DEGREES = re.compile(
    r"(\\(?:sin|cos|tan|cot|sec|csc)(?![A-Za-z])(?:\^\{?-?\d\}?)?\s*(?:\\left)?[({]?\s*)"
    r"(\d+(?:\.\d+)?)\s?\^\s?(?:\\circ|\{\s?\\circ\s?\})"
)
_MEASURED = re.compile(r"([+\-]?\d[\d,.]*(?:/\d+)?)\s+([a-z]{2,20}(?:\.?[ /][a-z]{1,20}){0,4})")
NO_UNIT = re.compile(
    r"\b(?:and|or|mod|choose|plus|minus|divided|percent|per cent|squared|cubed|factorial|base|half|halves"
    r"|hundred|thousand|million|billion|trillion|dozen|pi|theta|alpha|beta|gamma|delta|lambda|phi|omega|infinity|infty"
    r"|sqrt|ln|log|exp|(?:arc|a)?(?:sin|cos|tan|cot|sec|csc)h?)\b"
)
"""A word that is part of the amount and not of its unit."""
_NO_PLAIN_UNIT = re.compile(r"\b(?:to|of|times|over|by|in|is)\b")
_GROUPS = re.compile(r"(?<![\d.,])\d{1,3}(?:(?:\\[,;:! ]|[ ~'])\d{3})+(?!\d)")


def unframed(answer: str) -> str:
    """The answer without a final full stop, and without markdown, delimiters, fonts and braces around all of it."""
    text = _stopped(_COLOURED.sub("", answer) if "color" in answer or "bbox" in answer else answer)
    for _ in range(_MOST_FRAMES):
        for start, end in _FRAMES:
            inside = text[len(start) : -len(end)]
            if text.startswith(start) and text.endswith(end) and inside and _is_frame(start, end, inside):
                text = _stopped(inside)
                break
        else:
            break
    return text


@lru_cache(maxsize=256)
def as_latex(answer: str) -> str:
    """The answer as LaTeX: Unicode, markdown, plain-text powers, roots, functions and grouped digits rewritten."""
    text = in_ascii(unframed(answer))
    for pattern, replacement in _WHOLE_EDITS:
        text = pattern.sub(replacement, text)
    measured = _MEASURED.fullmatch(text)
    if measured and not NO_UNIT.search(measured[2]) and not _NO_PLAIN_UNIT.search(measured[2]):
        text = measured[1]
    text = _REPEATING.sub(_repeating, text)
    pieces = re.split(f"({_TEXT.replace('([^{}]*)', '[^{}]*')})", text)
    text = "".join(piece if n % 2 else _plain_as_latex(piece) for n, piece in enumerate(pieces)).strip()
    return _DEGREES.sub(r"\1\\frac{\2\\pi}{180}", text)


def in_ascii(text: str) -> str:
    """The text with LaTeX in the place of Unicode's mathematical symbols, digits and spaces."""
    if text.isascii():
        return text
    text = "".join(" " if unicodedata.category(char) == "Zs" else char for char in text)
    text = _WIDE.sub(lambda match: unicodedata.normalize("NFKC", match.group()), text)
    text = _VULGAR.sub(_fraction, text)
    text = _RAISED_RUN.sub(lambda match: f"^{{{match.group().translate(_DIGITS)}}}", text)
    text = _LOWERED_RUN.sub(lambda match: f"_{{{match.group().translate(_DIGITS)}}}", text)
    text = text.translate(_SYMBOLS)
    return _ROOT.sub(lambda match: f"{match[1] or chr(92) + 'sqrt'}" + (f"{{{match[2]}}}" if match[2] else ""), text)


def parts_of(text: str) -> list[str]:
    """The parts of an enumeration, in their order: split at commas, semicolons, "and" and "or" outside of brackets.

    A comma between groups of three digits is none, as long as the whole is one number.
    """
    parts, depth, start = [], 0, 0
    for match in _SEPARATORS.finditer(text):
        found = match.group()
        if found in _OPENING:
            depth += 1
        elif found in _CLOSING:
            depth = max(0, depth - 1)
        elif depth == 0 and not found.startswith("\\\\") and found not in _ESCAPED:
            parts.append(text[start : match.start()])
            start = match.end()
    return [part.strip() for part in [*parts, text[start:]] if part.strip(" .")]


_AND = r"(?:,\s*)?(?:(?<![A-Za-z\\])(?:and|or)(?![A-Za-z])|\\(?:text|textrm|mathrm|mbox)\s?\{\s*,?\s*(?:and|or)\s*\})"
_SEPARATORS = re.compile(rf"\\[{{}}]|\\left\.|\\right\.|\\[;,]|{_AND}|[,;]|[()\[\]{{}}]")
_OPENING, _CLOSING = frozenset(("(", "[", "{", "\\{")), frozenset((")", "]", "}", "\\}"))
_ESCAPED = frozenset(("\\left.", "\\right.", "\\;", "\\,"))


def _stopped(text: str) -> str:
    text = text.strip()
    return text if text.endswith("..") else text.rstrip(" \t\n.,;\\")


def _is_frame(start: str, end: str, inside: str) -> bool:
    if end != "}":
        return end not in inside
    depth = 0
    for match in re.finditer(r"\\.|[{}]", inside, re.DOTALL):
        depth += {"{": 1, "}": -1}.get(match.group(), 0)
        if depth < 0:
            return False
    return True


def _fraction(match: re.Match[str]) -> str:
    over, _, under = unicodedata.normalize("NFKC", match.group()).partition("\u2044")
    return f"\\frac{{{over}}}{{{under or 1}}}"


def _repeating(match: re.Match[str]) -> str:
    whole, once = match["whole"], match["once"]
    period = match["barred"] or match["bracketed"] or match["first"] + (match["middle"] or "") + (match["last"] or "")
    under = 10 ** len(once) * (10 ** len(period) - 1)
    over = int((whole + once + period) or 0) - int((whole + once) or 0)
    return f"\\frac{{{over}}}{{{under}}}"


def _plain_as_latex(text: str) -> str:
    text = _GROUPS.sub(lambda match: re.sub(r"\\[,;:! ]|[ ~']", "", match.group()), text)
    for pattern, replacement in _EDITS:
        text = pattern.sub(replacement, text)
    text = _braced_calls(text)
    return _WORDS.sub(lambda match: f"\\{_SAME.get(match[1], match[1])} ", text)


def _braced_calls(text: str) -> str:
    """Calls such as `sqrt(2)` and exponents in parentheses, with braces as LaTeX has them."""
    pieces, closing, done = [], list[str](), 0
    for match in _CALL.finditer(text):
        found = match.group()
        pieces.append(text[done : match.start()])
        done = match.end()
        if found == ")":
            pieces.append(closing.pop() if closing else ")")
        elif found == "(":
            pieces.append("(")
            closing.append(")")
        else:
            pieces.append(_OPENED.get(match[1] or "", found[:-1] + "{"))
            closing.append(r"\right|" if match[1] == "abs" else "}")
    return "".join([*pieces, text[done:]])
