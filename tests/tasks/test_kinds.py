r"""Answers and golds of every kind, `answer | gold` a line."""

from pathlib import Path

import orjson
import pytest

from splitreason_cli.tasks.grading import is_correct, mathematical_verdict, quick_verdict

SHARED = Path(__file__).parents[2].parent / "shared"

RIGHT = {
    "plain-text mathematics": r"""
        -2*pi | -2\pi
        pi/2 | \dfrac{\pi}{2}
        -1 + exp(16) | e^{16} - 1
        1e3 | 1000
        1.5e-3 | 0.0015
        1e-7 | 0.0000001
        2.5*10^3 | 2500
        10^-3 | 0.001
        sqrt(2)/2 | \frac{1}{\sqrt2}
        sqrt(3+sqrt(2)) | \sqrt{3+\sqrt{2}}
        (1+sqrt(5))/2 | \frac{1+\sqrt{5}}{2}
        3*x^2 | 3x^2
        x**2+1 | x^2+1
        2**10 | 1024
        2^(1/3) | \sqrt[3]{2}
        x^(n+1) | x^{n+1}
        exp(-x) | e^{-x}
        sin(x)/x | \frac{\sin x}{x}
        infinity | \infty
        2 1/2 | \frac{5}{2}
        2e-1 | 2e - 1
        3.08x10^8 | 308000000
        7 choose 2 | 21
        {10 \choose 3} | 120
        atan(1/2) | \arctan\frac12
        2.5 million | 2500000
        3\text{ thousand} | 3000
    """,
    "Unicode": r"""
        √2/2 | \frac{\sqrt{2}}{2}
        √(x+1) | \sqrt{x+1}
        ½ | \frac12
        2½ | \frac52
        x² + 3x³ | x^2+3x^3
        10⁻³ | 0.001
        2π | 2\pi
        −5 | -5
        (-∞, 3) | (-\infty,3)
        ±2 | 2, -2
        2516₈ | 2516_8
        90° | 90
        2∶3 | 2:3
        ①，③ | ①③
        2 或 3 | 3, 2
    """,
    "marks": r"""
        5 cm | 5\text{ cm}
        100 \text{ cm} | 1 \text{ m}
        5 square feet | 5 \text{ ft}^2
        5 m | 500 cm
        60 km/h | 60\text{ km per hour}
        \frac{3}{2} hours | \frac32
        5\sqrt{2} \text{ units} | 5\sqrt2
        15 cm^2 | 15\mbox{ cm}^2
        12 \text{ cents} | \$0.12
        36 sq. units | 36
        \color{red}{73} | 73
        {\color{blue}73} | 73
        \bbox[5px, border: 1px]{\frac12} | 0.5
        30^{o} | 30^{\circ}
        \cos 60^\circ | \frac12
        \tan^2(30°) | \frac13
        2.25\% | 2.25
        \frac{200}{3}\% | \frac23
        8 percent | 0.08
        2ab | 2ba
        3c | 3 \cdot c
        **73** | 73
        *73* | 73
        `73` | 73
        **\frac{1}{2}** | 0.5
        1 024 | 1024
        1\,024 | 1024
        1 024 | 1024
        12^{th} | 12
        12^{\text{th}} | 12
        1^{st} | 1
        90^\circ | 90
        90 degrees | 90
        12 apples | 12
        5 dollars | 5
        5\text{ cm} | 5
        \$5 | 5
        50\% | 0.5
        12.5\% | \frac18
        x=5 | 5
    """,
    "exact numbers": r"""
        49.5 | \frac{99}{2}
        34.0 | 34
        2\frac12 | 2.5
        1.0 \times 10^3 | 1000
        6.02 \times 10^{23} | 602000000000000000000000
        0.\overline{3} | \frac13
        0.1\overline{6} | \frac16
        0.(3) | \frac13
        \sqrt{2}\sqrt{3} | \sqrt6
        \frac{1}{1+\sqrt2} | \sqrt{2}-1
        (1+i)^2 | 2i
        2^{2^{100}} | 2^{2^{100}}
        \frac{1}{2^{98}} | 2^{-98}
    """,
    "numerals": r"""
        2516_8 | 2516_{8}
        2516 | 2516_8
        4210 | 4210_{5}
        2516_{\text{eight}} | 2516_8
        2516 \text{ (base 8)} | 2516_8
        (2516)_8 | 2516_8
        BEE_{16} | bee_{16}
        12_3, 21_3 | 12_3, 21_3
    """,
    "the same set": r"""
        x<3 | (-\infty, 3)
        0 < x < 12.5 | (0, 12.5)
        x >= 2 | [2,\infty)
        3 > x | (-\infty,3)
        -1 \le x < 4 | [-1,4)
        x<1 or x>2 | (-\infty,1)\cup(2,\infty)
        x \neq 2 | (-\infty,2)\cup(2,\infty)
        \{x \mid x < 3\} | (-\infty,3)
        x \in (-\infty, 3) | (-\infty,3)
        (-\infty,3) | x<3
        |x|<1 | -1<x<1
        {x|x>2} | x>2
        \{(1,2)\} | (1,2)
        |x-2| \le 3 | [-1,5]
        |x|>1 | x<-1 or x>1
    """,
    "sequences and sets": r"""
        2,3 | 3,2
        2 or 3 | 2,3
        x=2 \text{ or } x=3 | 2,3
        \pm\sqrt{3} | \sqrt3,-\sqrt3
        \left(3,\frac{\pi}{2}\right) | (3,\frac{\pi}{2})
        1,2,\ldots,n | 1, 2, \dots, n
        1, 2, 3, ... | 1,2,3,\ldots
        \{1,2,\ldots,n\} | \{1, 2, \dots, n\}
        1+2+\cdots+n | 1 + 2 + \dots + n
        1, 4, 9, \ldots, n^2 | 1,4,9,...,n \cdot n
        \boxed{1331}, \boxed{1728} | 1331 and 1728
        \boxed{2}, \boxed{-2} | \pm 2
        \boxed{3}, \boxed{2} | 2
        \boxed{2}, \boxed{2,3} | 2,3
    """,
    "texts": r"""
        JUNE 5 | \text{June 5}
        evelyn | \text{Evelyn}
        **Evelyn** | Evelyn
        No solution | \text{no solution}
        \text{Yes} | yes
        \triangle ABC | \triangle ABC
        (B) Evelyn | Evelyn
        2020-1-5 | 2020-01-05
        xy | yx
    """,
    "times and ratios": r"""
        6 p.m. | 6 \text{ PM}
        3 \text{ to } 2 | 3:2
        12:00 | 12:00
        12:00 p.m. | 12:00 \text{ PM}
        10:15 PM | 10\!:\!15\text{ p.m.}
        noon | 12:00 PM
        12 midnight | 00:00
        9:05 | 09:05
        14:30 | 2:30 PM
        3 : 4 | 3:4
        6:8 | 3:4
        3:4 | \frac{3}{4}
        1:2:3 | 2:4:6
        \sqrt{2}:1 | 2:\sqrt{2}
    """,
    "choices": r"""
        \text{B} \quad 12 | B
        A, B, D | ABD
        C, A | A,C
        \textbf{(C) } 12 | C
        C. 12 | C
        (C) \text{the cat} | C
        \mathrm{(C)}\ 12 | C
        **C. 12** | C
        Option C | C
        c | C
        C | (C) 12
        12 | (C) 12
        \textbf{(C)}\ 12 | 12
    """,
    "marked golds": r"""
        72 | so it is 72 #### 72
        \frac12 | The answer is \boxed{\frac{1}{2}}.
        72 | $72$
        0.5 | $\frac12$
    """,
}

WRONG = {
    "another unit or letter": r"""
        5 feet | 5 inches
        5 \text{ cm} | 5 \text{ m}
        5 \text{ cm} | 5 \text{ cm}^2
        5 cm | 5 m
        60 km/h | 60 m/s
        12 cents | \$12
        3c | 3
        x+2ab | x+2
        \frac12 t | \frac12
        5 million | 5
        0.5\% | 0.5
        3 4 | 34
        12 34 | 1234
        \sin 30^\circ | 30
        \color{red}{74} | 73
        R-r | 0
        \frac{V}{v} | \frac{v}{V}
    """,
    "tiny values": r"""
        \frac{1}{2^{98}} | \frac{1}{2^{99}}
        \frac{1}{2006!} | \frac{1}{2004!}
        0.0000001 | 0.0000002
        \frac{1}{3^{60}} | \frac{1}{5^{60}}
        \frac{x}{2^{400}} | \frac{x}{2^{401}}
        \frac{1}{\pi^{600}} | \frac{1}{\pi^{601}}
        \sqrt{2}+10^{-50} | \sqrt{2}
        1+10^{-40} | 1
        e^{-100} | 0
        0 | 10^{-20}
        (0.0000001, 1) | (0.0000002, 1)
        x=0.0000001 | x=0.0000002
    """,
    "rounded numbers": r"""
        0.333333 | \frac13
        0.3333333333333333 | \frac13
        3.141593 | \pi
        0.1234567891234567891 | 0.1234567891234567892
        0.\overline{3} | 0.\overline{6}
        0.\overline{3} | 0
        2 1/3 | 2.5
        21/2 | 5/2
        5 | 50\%
    """,
    "another base": r"""
        2516_8 | 2516_{10}
        110_{\text{base }2} | 110_3
        4210_7 | 4210_{5}
        10101_2 | 10101_3
        1358_{10} | 2516_8
        1358 | 2516_8
        12_3, 21_3 | 12_3, 21_4
    """,
    "plain-text mathematics": r"""
        pi/3 | \frac{\pi}{2}
        exp(15) - 1 | e^{16}-1
        1e4 | 1000
        √3 | \sqrt2
        ⅓ | \frac12
        **74** | 73
        1 025 | 1024
        13^{th} | 12
        91° | 90
        x^(n+2) | x^{n+1}
    """,
    "another set": r"""
        x \le 3 | (-\infty,3)
        x > 3 | (-\infty,3)
        0 \le x < 12.5 | (0,12.5)
        x<1 or x>3 | (-\infty,1)\cup(2,\infty)
        [2,5] | [2,5)
        |x|<1 | -1<x<2
        |x|<1 | |y|<1
        x>0 | y>0
        (1,2) | \{1,2\}
        \{1,2\} | [1,2]
    """,
    "another sequence": r"""
        1, 2, \ldots, n | 2
        2 | 1, 2, \ldots, n
        1, 2, \ldots, n | 1, 2, \ldots, m
        1, 3, \ldots, n | 1, 2, \ldots, n
        1+2+\cdots+n | 1+2+\cdots+m
        1728 | 1331 and 1728
        \boxed{1331}, \boxed{1729} | 1331 and 1728
        \boxed{2}, \boxed{3} | 2
        \boxed{1}, \boxed{2}, \boxed{3} | 2,3
        (3,2) | (2,3)
    """,
    "other texts": r"""
        ABC | CAB
        listen | silent
        1F | F1
        R2D2 | D2R2
        HTH | THH
        on | no
        cat | act
        \text{ab} | \text{ba}
        2020-01-05 | 2014
        2014 | 2020-01-05
        \triangle ABC | \triangle CAB
        5 | \text{no solution}
        Alice and Bob | Alice and Carl
    """,
    "other times and ratios": r"""
        6\text{ am} | 6 \text{ PM}
        12:00 | 12:30
        12:00 | \infty
        2:30 AM | 2:30 PM
        3:45 | 1:15
        noon | 12:00 AM
        3:4 | 4:3
        1:2:3 | 1:2:4
        1:2:3 | 1:2
    """,
    "other choices": r"""
        Carl | C
        B. 12 | C
        C, D | C
        (C) or (D) | C
        12 | C
        (C) 12 | (D) 12
        13 | (C) 12
    """,
}

NO_GOLDS = [
    "proof",
    "Proof.",
    r"\text{proof}",
    "notfound",
    "Not found",
    "N/A",
    "None",
    "NaN",
    "see solution",
    "See the proof above.",
    "The proof is complete.",
    "Proof by induction",
    "Answer not provided",
    "not applicable",
    "",
    "-",
    "[]",
]


def pairs(blocks):
    found = []
    for kind, block in blocks.items():
        for line in filter(str.strip, block.splitlines()):
            answer, gold = line.strip().split(" | ")
            found.append(pytest.param(answer, gold, id=f"{kind}: {answer} for {gold}"))
    return found


@pytest.mark.parametrize(("answer", "gold"), pairs(RIGHT))
def test_an_answer_is_right_however_it_is_written(answer, gold):
    assert mathematical_verdict(answer, gold).correct is True
    assert quick_verdict(answer, gold) in (True, None)


@pytest.mark.parametrize(("answer", "gold"), pairs(WRONG))
def test_an_answer_that_only_resembles_the_right_one_is_wrong(answer, gold):
    assert mathematical_verdict(answer, gold).correct is False
    assert quick_verdict(answer, gold) in (False, None)


@pytest.mark.parametrize("gold", NO_GOLDS)
def test_a_gold_that_says_there_is_none_gives_no_verdict(gold):
    assert quick_verdict("5", gold) is None
    verdict = mathematical_verdict("5", gold)
    assert verdict.correct is None
    assert "none" in verdict.reason


@pytest.mark.parametrize(
    "gold", [r"\text{none}", "no", "undefined", "0", r"\emptyset", r"\{\}", "no solution", "does not exist"]
)
def test_a_gold_that_only_sounds_empty_is_an_answer(gold):
    assert mathematical_verdict(gold, gold).correct is True
    assert mathematical_verdict("17", gold).correct is False


@pytest.mark.skipif(not SHARED.exists(), reason="the reported cases lie beside the project")
def test_reported_cases_are_graded_as_expected():
    rows = [orjson.loads(line) for file in sorted(SHARED.glob("cases/A*.jsonl")) for line in file.open("rb")]
    assert len(rows) >= 20
    wrong = [row for row in rows if is_correct(row["completion"], row["gold"]) is not row["expected"]]
    assert wrong == []


@pytest.mark.skipif(not SHARED.exists(), reason="the real problems lie beside the project")
def test_real_golds_equal_themselves_however_they_are_framed():
    golds = {
        orjson.loads(line)["answer"]
        for name in ("aime24", "traces_math500")
        for line in (SHARED / "data" / f"{name}.jsonl").open("rb")
    }
    answers = [(form.format(gold), gold) for gold in golds if gold for form in ("{}", "${}$", " {} ", r"\text{{{}}}")]
    answers += [(gold, rf"So it is $\boxed{{{gold}}}$.") for gold in golds if gold]
    assert len(answers) > 400
    assert [pair for pair in answers if mathematical_verdict(*pair).correct is not True] == []
