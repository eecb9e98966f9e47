"""What kind of answer the right one is, which says how others are compared with it."""

import re
import unicodedata
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache

from ..records.extraction import answer_in
from .notation import SPACE, TEXT, as_latex, in_ascii, parts_of, unframed
from .numbers import integer_of, number_of, numeral_of, percentage_of


class Kind(Enum):
    """What an answer can be."""

    NONE = auto()
    INTEGER = auto()
    NUMBER = auto()
    PERCENTAGE = auto()
    NUMERAL = auto()
    CHOICE = auto()
    CLOCK = auto()
    RATIO = auto()
    TEXT = auto()
    SEQUENCE = auto()
    EXPRESSION = auto()


@dataclass(frozen=True)
class Option:
    """A letter of a multiple choice, in upper case, and what stands beside it; empty if nothing does."""

    letter: str
    beside: str = ""


_SENTINELS = frozenset(
    (
        *("none", "null", "nil", "nan", "n/a", "na", "n.a", "unknown", "tbd", "todo", "omitted", "notapplicable"),
        *("proof", "proofs", "prove", "proven", "proved", "proofomitted", "proofbelow", "qed", "q.e.d", "blacksquare"),
        *("notfound", "notprovided", "notavailable", "noanswer", "noanswerfound", "asshown", "seeabove", "seebelow"),
        *("seesolution", "seethesolution", "seeproof", "seetheproof", "seeexplanation"),
    )
)
_NO_ANSWER = re.compile(
    r"(?i)[^\d=\\^$]*\b(?:proofs?|prov(?:e|en|ed|ing)|q\.?e\.?d)\b[^\d=\\^$]*"
    r"|(?:please )?(?:see|refer)\b[^\d=\\^$]*"
    r"|(?:the |an? |final )*(?:answer|solution)?s?(?: is| are| was)? ?(?:omitted|missing"
    r"|not (?:found|provided|available|given|applicable|specified|stated|required|needed))"
    r"|no (?:final )?answers?(?: found| provided| available| given)?"
)
_SENTINEL_EDGES = " \t\n.,;:!?-\u2013\u2014_*()[]{}<>\"'`$\\/#"
_MARKED = re.compile(r"####\s*([^\n]+)\s*\Z")

GAP = re.compile(r"\s{2,}")
"""White space that is one space to all rules here, so that none goes over it again and again."""

_MATHS_WORD = re.compile(
    r"(?:pi|theta|alpha|beta|gamma|delta|lambda|phi|omega|infinity|infty|inf|oo|i+"
    r"|(?:arc|a)?(?:sin|cos|tan|cot|sec|csc)[a-z]?|ln[a-z]?|log[a-z]?|exp|sqrt|abs|mod|max|min)",
)
_PRODUCTS = tuple(map(frozenset, ("abcd", "xyzw", "mnk", "pqrst", "uvw", "ijk")))
_WORD = re.compile(r"[^\W\d_]+")
_NAMES = re.compile(
    r"\\(triangle|angle|overline|overrightarrow|overleftrightarrow|widehat|square|parallelogram)(?![A-Za-z])"
)
_NO_TEXT = re.compile(r"[\\=<>^_+*/|%\[\]$]")
_MEASURE = re.compile(r"[+\-]?[\d.,]+(?:\s+[A-Za-z]|[a-z])")
_DATE = re.compile(r"(?:(\d{4})([-/])(\d{1,2})\2(\d{1,2})|(\d{1,2})([-/])(\d{1,2})\6(\d{4}))")

_CLOCK = re.compile(r"(\d{1,2})\s?:\s?([0-5]\d)(?:\s?:\s?([0-5]\d))?\s*(?:([ap])\.?\s*m\.?)?", re.IGNORECASE)
_HOUR = re.compile(r"(\d{1,2})\s*([ap])\.?\s*m\.?", re.IGNORECASE)
_NAMED_HOURS = {"noon": "12 pm", "midnight": "12 am"}
_RATIO_SIGN = re.compile(r"(?:\\colon(?![A-Za-z])|:|\\mathbin\{:\})")
_TO = re.compile(r"(?<=\d)\s*(?:to|\\(?:text|mathrm)\s?\{\s*to\s*\})\s*(?=\d)")
_DOTS = re.compile(r"\\(?:[ld]?dots[cbmio]?|cdots)(?![A-Za-z])|\.\.\.+")

_OPTION = r"(?:(?i:option|choice|answer)\s*:?\s*)?"
_LETTER = re.compile(rf"{_OPTION}(?:([A-J])|[(\[]\s*([A-Ja-j])\s*[)\]])\s*[.:)]?")
_LABELLED = re.compile(
    rf"{_OPTION}(?:[(\[]\s*([A-J])\s*[)\]]\s*[.:]?|([A-J])\s*[.:)](?=\s|\\|\$|\d)|([A-J])(?=\s+\([^()]+\)\Z))\s*(.+)",
    re.DOTALL,
)
_SET_LETTER = re.compile(
    r"\\text(?:bf|rm|it)?\s?\{\s*([A-J])\s*\}(?:\s|~|\\q?quad|\\[ ,;])+(?![-+=*/^_<>,&]|and|or)(.+)", re.DOTALL
)
_CHOICES = frozenset("ABCDEFGHIJ\u2460\u2461\u2462\u2463\u2464\u2465\u2466\u2467\u2468")
_MORE_LETTERS = re.compile(r"\A\s*(?:[,;&/+]|(?:and|or)\b)|\(\s*[A-J]\s*\)|\b[A-J][.):](?:\s|\Z)")


@lru_cache(maxsize=256)
def answer_of(gold: str) -> str:
    r"""The answer in a gold column: what follows the last `####`, what its only box holds, else all of it."""
    if match := _MARKED.search(gold):
        return match[1].strip()
    answer = answer_in(gold) if "\\boxed" in gold else None
    return GAP.sub(" ", answer or gold).strip()


@lru_cache(maxsize=256)
def kind_of(answer: str) -> Kind:
    """What an answer is."""
    if is_none(answer):
        return Kind.NONE
    for kind, read in _READERS:
        if read(answer) is not None:
            return kind
    parts = parts_of(unframed(answer))
    if dots_in(answer) or (len(parts) > 1 and any(kind_of(part) in _COMPARED_AS_PARTS for part in parts)):
        return Kind.SEQUENCE
    return Kind.EXPRESSION


def is_none(answer: str) -> bool:
    r"""Whether this says that there is no answer, as `proof` or `N/A` do; `\text{none}` is one.

    Data sets put such words where a problem has no answer to grade.
    """
    if answer.strip() in ("", "[]", "{}", "()"):
        return True
    text = unframed(answer).strip(_SENTINEL_EDGES)
    if not text:
        return not re.search(r"\\[A-Za-z{]|[{(\[]", answer)
    if _NO_ANSWER.fullmatch(SPACE.sub(" ", TEXT.sub(r"\1", text)).strip()):
        return True
    word = re.sub(r"[\s_\-]", "", text).casefold()
    return word in _SENTINELS and not (word == "none" and TEXT.search(answer))


def choice_of(answer: str) -> Option | None:
    r"""The letter that an answer chooses, with what is beside it, as in `\textbf{(C) } 12`; None if it chooses none."""
    if match := _SET_LETTER.match(unframed(answer)):
        return Option(match[1], match[2].strip())
    text = SPACE.sub(" ", TEXT.sub(r"\1", unframed(answer)).replace("**", "").replace("$", "")).strip()
    text = unframed(text.replace("\\left", "").replace("\\right", ""))
    if match := _LETTER.fullmatch(text):
        return Option((match[1] or match[2]).upper())
    match = _LABELLED.fullmatch(text)
    if match is None or _MORE_LETTERS.search(match[4]):
        return None
    return Option(match[1] or match[2] or match[3], match[4].strip())


def clock_of(answer: str) -> tuple[int, int, int, str] | None:
    """Hours, minutes and seconds of a time of day, and `a` or `p` of a.m. and p.m., if that is said."""
    text = SPACE.sub(" ", TEXT.sub(r"\1", unframed(answer))).strip()
    text = re.sub(r"(?i)(?:12(?::00)?\s)?(noon|midnight)", lambda named: _NAMED_HOURS[named[1].lower()], text)
    if match := _HOUR.fullmatch(text):
        return int(match[1]), 0, 0, match[2].lower()
    match = _CLOCK.fullmatch(text)
    if match is None or int(match[1]) > 24:
        return None
    return int(match[1]), int(match[2]), int(match[3] or 0), (match[4] or "").lower()


def ratio_of(answer: str) -> list[str] | None:
    """The terms of a ratio such as 3:4 or 1:2:3, as they are written; None for anything else."""
    text = _TO.sub(":", as_latex(answer))
    if len(text) > 400 or (":" not in text and "\\colon" not in text) or _DOTS.search(text):
        return None
    terms = [unframed(term) for term in _RATIO_SIGN.split(text)]
    return terms if len(terms) > 1 and all(map(_is_term, terms)) else None


def _is_term(text: str) -> bool:
    return bool(text) and not _WORDY.search(text) and len(parts_of(text)) == 1


_WORDY = re.compile(r"[{\[(,=<>|]\Z|\A[)\]}|,]|(?<![\\A-Za-z])[A-Za-z]{2,}|\\(?:mid|to|in)(?![A-Za-z])|\\[{}]")


def dots_in(answer: str) -> bool:
    """Whether an answer leaves terms out, as `1, 2, ..., n` does."""
    return bool(_DOTS.search(in_ascii(answer)))


def stretches_of(answer: str) -> list[list[str]]:
    """The terms between the dots of an answer, a list for each stretch, without the brackets around all of it."""
    text = in_ascii(unframed(answer)).replace("\\left", "").replace("\\right", "").strip()
    for start, end in (("\\{", "\\}"), ("(", ")"), ("[", "]"), ("{", "}"), ("\\langle", "\\rangle")):
        if text.startswith(start) and text.endswith(end):
            text = text[len(start) : -len(end)]
    stretches = (piece.strip(" \t\n,+").removesuffix("\\cdot") for piece in _DOTS.split(text))
    return [parts_of(stretch.rstrip()) for stretch in stretches]


def text_of(answer: str) -> str | None:
    r"""The words that an answer consists of, without case, white space and fonts; None where it is no text.

    A word has four letters or more, capitals only, or was set by `\text{}`. Short products such as `xy`, names of
    functions, and numbers with a unit are none.
    """
    framed = in_ascii(answer.strip())
    inside = unframed(framed)
    plain = _NAMES.sub(r"\1 ", SPACE.sub(" ", TEXT.sub(r"\1", inside)))
    plain = re.sub(r"\\left|\\right|[{}*`\"]", "", plain).strip(" .,;:!?'")
    if date := _DATE.fullmatch(plain):
        return "-".join(str(int(part)) for part in date.groups() if part and part not in "-/")
    if letters := _letters_of(plain):
        return letters
    words = _WORD.findall(plain)
    if not words or len(plain) > 2000 or _NO_TEXT.search(plain) or _MEASURE.match(plain):
        return None
    parts = parts_of(plain)
    is_set_as_text = bool(TEXT.search(framed)) and not _WORD.search(TEXT.sub("", framed))
    if not (is_set_as_text and max(map(len, words)) > 1) and not all(map(_is_text, parts)):
        return None
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", ",".join(parts))).casefold()


def _letters_of(text: str) -> str | None:
    """The letters of several choices in the order of the alphabet, where each stands alone, as in `A, C`."""
    parts = [part.strip(" ()") for part in parts_of(text)]
    if len(parts) < 2 or not all(len(part) == 1 and part in _CHOICES for part in parts):
        return None
    return unicodedata.normalize("NFKC", "".join(sorted(parts))).casefold()


def _is_text(part: str) -> bool:
    words = _WORD.findall(part)
    return any(map(_is_word, words)) or bool(
        re.fullmatch(r"(?:[A-Z]+\d+)+[A-Z]*|(?:\d+[A-Z]+)+\d*", part.replace(" ", ""))
    )


def _is_word(word: str) -> bool:
    if len(word) == 1 or _MATHS_WORD.fullmatch(word):
        return False
    if word.islower() and word.isascii():
        letters = set(word)
        is_product = len(word) == len(letters) and any(letters <= product for product in _PRODUCTS)
        return not is_product and (len(word) > 2 or bool(letters & set("eiou")))
    return True


_READERS = (
    (Kind.INTEGER, integer_of),
    (Kind.NUMBER, number_of),
    (Kind.PERCENTAGE, percentage_of),
    (Kind.NUMERAL, numeral_of),
    (Kind.CHOICE, choice_of),
    (Kind.CLOCK, clock_of),
    (Kind.RATIO, ratio_of),
    (Kind.TEXT, text_of),
)
_COMPARED_AS_PARTS = frozenset((Kind.NUMERAL, Kind.CLOCK, Kind.RATIO, Kind.TEXT))
