import orjson

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
