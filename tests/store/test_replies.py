import asyncio
import subprocess
import sys

import orjson
import pytest

from splitreason_cli.store.replies import Replies


def test_replies_survive_and_are_shared_between_runs(tmp_path):
    first = Replies(tmp_path, "one")
    first.put("a", {"snippets": ["x"], "tokens": (10, 2)})
    assert first.get("a")["snippets"] == ["x"]
    second = Replies(tmp_path, "two")
    assert second.get("a")["snippets"] == ["x"]
    assert second.get("b") is None


def test_every_run_knows_what_it_has_spent_itself_useless_replies_included(tmp_path):
    run = Replies(tmp_path, "one")
    run.put("a", {"tokens": (10, 2)})
    run.charge("b", "empty", (5, 1))
    run.put("b", {"tokens": (0, 0)})
    for replies in (run, Replies(tmp_path, "one")):
        assert replies.spent == [15, 3]
    assert Replies(tmp_path, "two").spent == [0, 0]


def test_a_reply_replaces_an_earlier_one_of_whichever_run(tmp_path):
    Replies(tmp_path, "b").put("a", {"n": 1})
    Replies(tmp_path, "a").put("a", {"n": 2})
    for name in ("a", "b", "c"):
        assert Replies(tmp_path, name).get("a")["n"] == 2


def test_a_torn_last_line_is_forgotten_and_overwritten(tmp_path):
    run = Replies(tmp_path, "one")
    run.put("a", {"n": 1})
    run.put("b", {"n": 2})
    path = tmp_path / "one.jsonl"
    path.write_bytes(path.read_bytes()[:-3])
    again, other = Replies(tmp_path, "one"), Replies(tmp_path, "two")
    assert (again.get("a")["n"], again.get("b"), other.get("b")) == (1, None, None)
    again.put("c", {"n": 3})
    assert [orjson.loads(line)["key"] for line in path.read_bytes().splitlines()] == ["a", "c"]
    assert again.get("c")["n"] == 3


def test_a_reply_with_half_a_surrogate_pair_is_kept_all_the_same(tmp_path):
    Replies(tmp_path, "one").put("a", {"snippets": ["x \ud83d", "\ud83d\ude00"]})
    assert Replies(tmp_path, "two").get("a")["snippets"] == ["x \ufffd", "😀"]


def test_what_another_run_writes_is_there_once_the_key_is_claimed(tmp_path):
    one, other = Replies(tmp_path, "one"), Replies(tmp_path, "other")
    one.put("aa", {"n": 1})
    third = Replies(tmp_path, "third")
    third.refuse("bb", "too long")

    async def claim(key):
        async with other.claimed(key):
            return other.get("aa"), other.refusal("bb")

    found, reason = asyncio.run(claim("aa"))
    assert (found["n"], reason) == (1, "too long")
    one.put("cc", {"n": 2})
    asyncio.run(claim("cc"))
    assert other.get("cc")["n"] == 2


HOLDER = """
import asyncio, sys
from pathlib import Path
from splitreason_cli.store.replies import Replies

async def hold():
    async with Replies(Path(sys.argv[1]), "holder").claimed("aa"):
        print("held", flush=True)
        sys.stdin.readline()

asyncio.run(hold())
"""


@pytest.mark.parametrize("end", ["released", "killed"])
def test_a_key_is_claimed_by_one_process_until_it_lets_go_or_dies(tmp_path, end):
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        replies = Replies(tmp_path, "other")
        order = []

        async def wait():
            async with replies.claimed("aa"):
                order.append("waited for")

        async def pass_by():
            async with replies.claimed("bb"):
                order.append("free")
            if end == "killed":
                holder.kill()
            else:
                holder.stdin.write(b"\n")
                holder.stdin.flush()

        async def both():
            await asyncio.gather(wait(), pass_by())

        asyncio.run(both())
        assert order == ["free", "waited for"]


def test_what_was_refused_is_forgotten_afresh_but_not_what_was_paid_for(tmp_path):
    run = Replies(tmp_path, "one")
    run.put("a", {"n": 1})
    run.refuse("b", "flagged")
    run.note_unsupported(["temperature"])
    again = Replies(tmp_path, "one")
    assert (again.refusal("b"), again.refusal("a"), again.unsupported) == ("flagged", None, {"temperature"})
    afresh = Replies(tmp_path, "one", is_afresh=True)
    assert (afresh.refusal("b"), afresh.unsupported, afresh.get("a")["n"]) == (None, set(), 1)


def test_a_useless_reply_that_may_come_again_is_known_by_its_source(tmp_path):
    run = Replies(tmp_path, "one")
    run.charge("a", "empty", (5, 1), "batch-7")
    run.charge("a", "empty", (5, 1))
    other = Replies(tmp_path, "other")
    assert other.has_charged("batch-7")
    assert not other.has_charged("")
    assert (other.useless("a"), other.useless("b")) == (2, 0)
