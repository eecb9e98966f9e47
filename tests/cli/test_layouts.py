"""Other people's data at the commands that read it."""

import orjson
import pytest

from tests.scripted_endpoint import ScriptedEndpoint, serving

THOUGHT = "First 17 times 3 is 51, whose digits are 5 and 1.\nThey sum to six.\nSo it is 6."
MARKED = f"<think>\n{THOUGHT}\n</think>\n\nIt is \\boxed{{6}}."
QUESTION = "Digit sum of 17*3?"
ASKED = {"role": "user", "content": QUESTION}
SOLVED = {"role": "assistant", "content": MARKED}
ROWS = [
    {"conversations": [{"from": "human", "value": QUESTION}, {"from": "gpt", "value": MARKED}]},
    {"problem": QUESTION, "generated_solution": MARKED, "expected_answer": "6"},
    {"messages": [ASKED, {"role": "assistant", "reasoning_content": THOUGHT, "content": "It is \\boxed{6}."}]},
    {"messages": [ASKED, SOLVED, {"role": "user", "content": "thanks"}]},
    {
        "messages": [
            {"role": one["role"], "content": [{"type": "text", "text": one["content"]}]} for one in (ASKED, SOLVED)
        ]
    },
    {"problem": QUESTION, "answer": 6.0, "reasoning": THOUGHT, "response": "It is \\boxed{6}."},
]
UNMARKED = {"problem": QUESTION, "solution": THOUGHT, "messages": [ASKED, {"role": "assistant", "content": THOUGHT}]}


def write(path, *rows, start=b""):
    path.write_bytes(start + b"".join(orjson.dumps(row) + b"\n" for row in rows))


def test_rows_of_many_layouts_in_one_file_become_traces_and_what_holds_none_is_quarantined(srx, tmp_path):
    write(tmp_path / "in.jsonl", *ROWS, ROWS[0], UNMARKED, start=b"\xef\xbb\xbf")
    done = srx("annotate", "--in", "in.jsonl", "--out", "out.jsonl")
    assert done.returncode == 4, done.stderr
    records = [orjson.loads(line) for line in (tmp_path / "out.jsonl").read_bytes().splitlines()]
    assert {(one["problem"], one["reasoning"], one["response"]) for one in records} == {
        (QUESTION, THOUGHT, "It is \\boxed{6}.")
    }
    assert [one["answer"] for one in records] == ["", "6", "", "", "", "6", ""]
    assert len({one["id"] for one in records}) == 7
    said = done.stderr.decode()
    assert "in.jsonl: problem <- conversations (user), messages <- conversations\n" in said
    assert "in.jsonl: problem <- problem, answer <- expected_answer, completion <- generated_solution\n" in said
    assert "a user's turn after the solution is left out" in said
    (rejected,) = (tmp_path / "out.jsonl.rejected.jsonl").read_bytes().splitlines()
    assert orjson.loads(rejected)["where"] == "in.jsonl:8"
    assert "holds a solution without thinking; --no-thinking takes it as the trace" in orjson.loads(rejected)["reason"]


def test_a_file_that_is_not_understood_stops_before_anything_is_paid_and_its_columns_can_be_named(srx, tmp_path):
    rows = [{"frage": f"{n}+1?", "weg": THOUGHT, "ergebnis": n + 1.0} for n in range(150)]
    write(tmp_path / "in.jsonl", *rows)
    endpoint = ScriptedEndpoint()
    with serving(endpoint) as url:
        flags = ["--in", "in.jsonl", "--annotator", "llm", "--model", "m", "--base-url", url]
        refused = srx("annotate", *flags)
        assert (refused.returncode, refused.stdout, sum(endpoint.calls.values())) == (3, b"", 0)
        line = next(line for line in refused.stderr.decode().splitlines() if line.startswith("error: "))
        assert line.startswith("error: in.jsonl: none of its first 100 rows gives a trace")
        assert "Its columns: frage, weg, ergebnis. Say which holds what, such as --columns" in line
        named = srx("annotate", *flags, "--limit", "2", "--columns", "problem=frage,reasoning=weg,answer=ergebnis")
    assert named.returncode == 0, named.stderr
    assert [orjson.loads(line)["answer"] for line in named.stdout.splitlines()] == ["1", "2"]
    assert b"in.jsonl: problem <- frage, answer <- ergebnis, reasoning <- weg\n" in named.stderr


def test_other_columns_are_another_result(srx, tmp_path):
    write(tmp_path / "in.jsonl", {"problem": "p", "reasoning": "one way\nto it", "other": "another way\nto it"})
    first = srx("annotate", "--in", "in.jsonl")
    second = srx("annotate", "--in", "in.jsonl", "--columns", "reasoning=other")
    assert [orjson.loads(one.stdout)["reasoning"] for one in (first, second)] == [
        "one way\nto it",
        "another way\nto it",
    ]


def test_a_solution_without_thinking_is_taken_where_that_is_asked(srx, tmp_path):
    write(tmp_path / "in.jsonl", UNMARKED)
    refused, taken = srx("annotate", "--in", "in.jsonl"), srx("annotate", "--in", "in.jsonl", "--no-thinking")
    assert (refused.returncode, taken.returncode) == (3, 0)
    assert b"Its columns: problem, solution, messages" in refused.stderr
    assert orjson.loads(taken.stdout)["reasoning"] == THOUGHT


@pytest.mark.parametrize(
    ("columns", "row"),
    [
        ([], {"question": "1+5?", "final_answer": 6.0}),
        (["--columns", "problem=task,answer=gold.value"], {"task": "1+5?", "gold": {"value": 6}}),
    ],
)
def test_a_benchmark_is_read_by_the_same_table(srx, tmp_path, columns, row):
    write(tmp_path / "in.jsonl", row)
    flags = ["--systems", "small", "--samples", "1", "--temperature", "0", "--generations", "out.jsonl"]
    done = srx("bench", "in.jsonl", *flags, *columns)
    assert done.returncode == 0, done.stderr
    generation = orjson.loads((tmp_path / "out.jsonl").read_bytes())
    assert (generation["problem"], generation["answer"]) == ("1+5?", "6")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("frage=problem", "--columns: 'frage=problem' is no role and its column. Roles: problem, answer, reasoning"),
        ("problem", "--columns: 'problem' is no role and its column"),
        ("problem=a,problem=b", "--columns: two columns for problem. Give one"),
        ("reasoning=a,messages=b", "--columns: reasoning and messages both hold the trace. Give one of them"),
    ],
)
def test_columns_that_say_nothing_are_usage_errors(srx, tmp_path, columns, message):
    for command in (["annotate", "--in", "in.jsonl"], ["bench", "in.jsonl"], ["train", "grpo", "--in", "in.jsonl"]):
        done = srx(*command, "--columns", columns)
        assert done.returncode == 2
        assert message in done.stderr.decode()


def test_a_named_column_that_no_row_has_is_an_error_with_those_it_has(srx, tmp_path):
    write(tmp_path / "in.jsonl", ROWS[5])
    done = srx("annotate", "--in", "in.jsonl", "--columns", "reasoning=trace")
    assert done.returncode == 3
    assert b"column 'trace' of --columns reasoning=trace is missing; the row has problem, answer" in done.stderr
