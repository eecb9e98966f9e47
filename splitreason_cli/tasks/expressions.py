"""Whether two expressions are equal, by math-verify, with numbers as exact as they were written.

The library takes a difference below 1e-15 for none, and rounds decimals to six places. So decimals are handed to it as
fractions, differences are computed to 100 digits, and what is equal by digits alone is looked at again.
"""

import logging
import re
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from .notation import as_latex
from .units import without_unit

if TYPE_CHECKING:
    from math_verify import ExprExtractionConfig, LatexExtractionConfig
    from sympy import Basic, Expr

_LETTER = re.compile(r"\\(?:text[a-z]*|math[a-z]+|operatorname)\s?\{[^{}]*\}|\\[A-Za-z]+|([A-Za-z])(?!_)")

_DIGITS = 100
_MOST_DIGITS = 1000


def equal(answer: str, gold: str) -> bool | None:
    """Whether an answer equals `gold` by mathematics; None if `gold` cannot be read as mathematics.

    It may take forever on a hostile answer, or all memory: see `tasks.grader`. Raises whatever math-verify raises.
    """
    given, expected = _cased(as_latex(without_unit(answer)), as_latex(without_unit(gold)))
    parsed_gold = _parsed_gold(expected)
    if not parsed_gold:
        return None
    parsed = _parsed(f"$\\boxed{{{given}}}$")
    return any(_same(one, other) for one in parsed_gold for other in parsed)


def _cased(*texts: str) -> tuple[str, ...]:
    """The texts with an index at capitals that stand beside their small letter: the library makes all letters small."""
    doubled = set[str]()
    for text in texts:
        letters = set(_LETTER.findall(text))
        doubled |= {letter for letter in letters if letter.isupper() and letter.lower() in letters}

    def indexed(match: re.Match[str]) -> str:
        return f"{match[1]}_{{0}}" if match[1] in doubled else match.group()

    return tuple(_LETTER.sub(indexed, text) for text in texts) if doubled else texts


@lru_cache(maxsize=1024)
def _parsed_gold(gold: str) -> "list[Basic | str]":
    return _parsed(f"${gold}$")


def _parsed(text: str) -> "list[Basic | str]":
    from math_verify import parse

    # The library's own time-out is a signal handler, which works in the main thread only; it warns when it is off.
    logging.getLogger("math_verify").setLevel(logging.ERROR)
    return cast("list[Basic | str]", parse(text, _notations(), parsing_timeout=None, raise_on_error=True))


@lru_cache(maxsize=1)
def _notations() -> "list[LatexExtractionConfig | ExprExtractionConfig]":
    r"""What the library reads. Its list of units would take the variables of `3c` and `x + 2ab` away."""
    from math_verify import ExprExtractionConfig, LatexExtractionConfig

    latex = LatexExtractionConfig()
    return [
        replace(latex, normalization_config=replace(latex.normalization_config, units=False)),
        ExprExtractionConfig(),
    ]


def _same(gold: "Basic | str", answer: "Basic | str") -> bool:
    from math_verify import verify

    if isinstance(gold, str) or isinstance(answer, str):
        return gold == answer
    if gold == answer and not _is_undefined(gold):
        return True
    gold, answer = _exact(gold), _exact(answer)
    gold, answer = _solutions(gold, answer), _solutions(answer, gold)
    is_same = verify(
        gold,
        answer,
        numeric_precision=_DIGITS,
        allow_set_relation_comp=True,
        timeout_seconds=None,
        raise_on_error=True,
    )
    return bool(is_same) and _is_confirmed(gold, answer)


def _is_undefined(expression: "Basic") -> bool:
    from sympy import nan, zoo

    return expression in (nan, zoo)


def _exact(expression: "Basic") -> "Basic":
    """The expression with fractions for decimals, and with numbers worked out where they are rational."""
    from sympy import Expr, Float, MatrixBase
    from sympy.core.relational import Relational

    if isinstance(expression, MatrixBase):
        return expression.applyfunc(_exact)
    if isinstance(expression, Expr):
        return _exact_number(expression)
    if not expression.has(Float):
        return expression
    arguments = [_exact(argument) for argument in getattr(expression, "_unsorted_args", expression.args)]
    if isinstance(expression, Relational):
        return expression.func(*arguments, evaluate=False)
    return expression.func(*arguments)


def _exact_number(expression: "Expr") -> "Expr":
    from sympy import Float, I, Rational, Symbol, UnevaluatedExpr

    exacts = {number: Rational(str(number)) for number in expression.atoms(Float) if number.is_finite}
    if (imaginary := Symbol("i", real=False)) in expression.free_symbols:
        exacts[imaginary] = I
    exact = expression.xreplace(exacts) if exacts else expression
    if exact.is_Atom or exact.free_symbols or exact.has(UnevaluatedExpr):
        return exact
    value = exact.doit()
    return value if value.is_Rational else exact


def _solutions(one: "Basic", other: "Basic") -> "Basic":
    """The set that inequalities describe, such as `x < 1` or `x > 2`, or `|x| < 1`, where the other is a set too."""
    from sympy import Abs, And, FiniteSet, Set, Union
    from sympy.core.relational import Eq, Relational

    is_set = isinstance(other, Relational | And) or (isinstance(other, Set) and not isinstance(other, FiniteSet))
    inequalities = one.args if isinstance(one, FiniteSet) else (one,) if one.has(Abs) else ()
    if not is_set and not other.has(Relational):
        return one
    if other.free_symbols and one.free_symbols != other.free_symbols:
        return one
    if not inequalities or not all(isinstance(part, Relational) and not isinstance(part, Eq) for part in inequalities):
        return one
    return Union(*(part.as_set() for part in inequalities))


def _is_confirmed(gold: "Basic", answer: "Basic") -> bool:
    """Whether expressions that are equal to the library are so however small their values are."""
    from sympy import Expr, UnevaluatedExpr, simplify

    if not isinstance(gold, Expr) or not isinstance(answer, Expr) or gold == answer:
        return True
    if gold.has(UnevaluatedExpr) or answer.has(UnevaluatedExpr) or gold.is_infinite or answer.is_infinite:
        return True
    difference = gold - answer
    if gold.is_Symbol or answer.is_Symbol or difference == 0:
        return True
    if difference.free_symbols:
        return bool(simplify(difference) == 0)
    value = difference.evalf(15, maxn=_MOST_DIGITS)
    # A precision of one bit says that nothing but zeros was found.
    return not any(part.is_Float and part._prec > 1 and part != 0 for part in value.as_real_imag())
