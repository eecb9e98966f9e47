r"""What holds of all answers: equal ones are right however they are written, others wrong, whichever is the gold."""

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from splitreason_cli.tasks.grading import mathematical_verdict

small = st.integers(-500, 500)
under = st.integers(1, 60)
words = st.text("abcdefghijklmnopqrstuvwxyz", min_size=5, max_size=9)


def correct(answer, gold):
    return mathematical_verdict(answer, gold).correct


def fraction_forms(value):
    over, below = value.as_integer_ratio()
    sign = "-" if value < 0 else ""
    forms = [
        rf"{sign}\frac{{{abs(over)}}}{{{below}}}",
        rf"\dfrac{{{over}}}{{{below}}}",
        f"{over}/{below}",
        f"x = {over}/{below}",
        rf"$\frac{{{3 * over}}}{{{3 * below}}}$",
        rf"**{over}/{below}**",
        rf"\text{{{over}/{below}}}",
    ]
    decimal = 1000 * value
    if decimal.denominator == 1:
        forms += [f"{over / below:.3f}", f"{over / below:.4f}", rf"{decimal.numerator} \times 10^{{-3}}"]
    return forms


@given(small, under, st.data())
@settings(max_examples=60, deadline=None)
def test_a_fraction_is_itself_in_every_form_and_no_other_one(over, below, data):
    value = Fraction(over, below)
    forms = st.sampled_from(fraction_forms(value))
    answer, gold = data.draw(forms), data.draw(forms)
    assert correct(answer, gold) is True
    assert correct(gold, answer) is True
    other = data.draw(st.sampled_from(fraction_forms(value + Fraction(1, data.draw(under)))))
    assert correct(other, gold) is False
    assert correct(gold, other) is False


@given(st.integers(1, 10**6), st.integers(5, 300), st.sampled_from(["decimal", "power", "e"]))
@settings(max_examples=60, deadline=None)
def test_tiny_numbers_differ_in_their_last_digit(digits, places, form):
    def written(number):
        decimal = f"0.{number:0{places + 7}d}"
        power = rf"{number} \cdot 10^{{-{places + 7}}}"
        return {"decimal": decimal, "power": power, "e": f"{number}e-{places + 7}"}[form]

    assert correct(written(digits), written(digits)) is True
    assert correct(written(digits), f"0.{digits:0{places + 7}d}") is True
    assert correct(written(digits), written(digits + 1)) is False


@given(st.lists(small, min_size=2, max_size=4, unique=True), st.randoms())
@settings(max_examples=12, deadline=None)
def test_sets_have_no_order_and_tuples_have_one(numbers, random):
    shuffled = random.sample(numbers, len(numbers))
    assert correct(", ".join(map(str, shuffled)), ", ".join(map(str, numbers))) is True
    boxes = ", ".join(rf"\boxed{{{number}}}" for number in shuffled)
    assert correct(boxes, rf"\{{{', '.join(map(str, numbers))}\}}") is True
    other = [*numbers[:-1], numbers[-1] + 1000]
    assert correct(", ".join(map(str, other)), ", ".join(map(str, numbers))) is False
    tuples = [f"({', '.join(map(str, each))})" for each in (numbers, shuffled)]
    assert correct(*tuples) is (numbers == shuffled)


@given(small, st.integers(1, 100), st.sampled_from(["<", r"\le "]), st.sampled_from(["<", r"\le "]))
@settings(max_examples=12, deadline=None)
def test_inequalities_are_the_intervals_they_describe(low, width, first, second):
    high = low + width
    interval = f"{'(' if first == '<' else '['}{low}, {high}{')' if second == '<' else ']'}"
    closed_otherwise = interval[:-1] + (")" if second != "<" else "]")
    inequality = f"{low} {first} x {second} {high}"
    assert correct(inequality, interval) is True
    assert correct(interval, inequality) is True
    assert correct(inequality, closed_otherwise) is False


@given(words, st.randoms())
@settings(max_examples=60, deadline=None)
def test_words_are_compared_letter_by_letter(word, random):
    assert correct(rf"\text{{{word.title()}}}", word) is True
    anagram = "".join(random.sample(word, len(word)))
    assert correct(anagram, word) is (anagram == word)
    assert correct(word, anagram) is (anagram == word)


@given(st.integers(8, 10**6), st.integers(2, 16), st.integers(2, 16))
@settings(max_examples=60, deadline=None)
def test_a_numeral_has_its_base_or_none(number, base, other):
    digits = written_in(number, base)
    assert correct(rf"{digits}_{{{base}}}", f"{digits}_{base}" if base < 10 else rf"{digits}_{{{base}}}") is True
    assert correct(digits, rf"{digits}_{{{base}}}") is True
    assert correct(rf"{written_in(number, other)}_{{{other}}}", rf"{digits}_{{{base}}}") is (base == other)


def written_in(number, base):
    digits = ""
    while number:
        number, digit = divmod(number, base)
        digits = "0123456789ABCDEF"[digit] + digits
    return digits


@given(st.sampled_from("ABCDE"), st.sampled_from("ABCDE"), small)
@settings(max_examples=12, deadline=None)
def test_a_choice_is_its_letter_whatever_stands_beside_it(letter, other, number):
    for answer in (letter, f"({letter})", rf"\textbf{{({letter}) }} {number}", f"{letter}. ${number}$"):
        assert correct(answer, other) is (letter == other)
        assert correct(other, answer) is (letter == other)
