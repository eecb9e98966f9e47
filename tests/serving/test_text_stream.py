import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.records import markup
from splitreason_cli.serving.detokenizer import Detokenizer
from splitreason_cli.serving.requests import TokenLogprob
from splitreason_cli.serving.text_stream import TextStream

CLOSING = markup.THINK_CLOSE


class Bytes:
    """A byte-level vocabulary: every token is some bytes, cut anywhere."""

    def __init__(self):
        self.tokens = []

    def ids(self, pieces):
        self.tokens += pieces
        return list(range(len(self.tokens) - len(pieces), len(self.tokens)))

    def decode(self, ids):
        return b"".join(self.tokens[token] for token in ids).decode("utf-8", errors="replace")


class ByteFallback(Bytes):
    """As SentencePiece does it: a run of bytes that is not all valid becomes one U+FFFD per byte."""

    def decode(self, ids):
        text = ""
        run = b""
        for piece in [*(self.tokens[token] for token in ids), None]:
            if piece is not None and len(piece) == 1 and piece[0] > 127:
                run += piece
                continue
            try:
                text += run.decode()
            except UnicodeDecodeError:
                text += "\ufffd" * len(run)
            text, run = text + (piece or b"").decode("utf-8", errors="replace"), b""
        return text


class Spaced:
    """Words that carry their leading space, which the decoder drops from the first."""

    def __init__(self, words):
        self.words = words

    def decode(self, ids):
        return "".join(self.words[token] for token in ids).removeprefix(" ")


def cut(data, cuts):
    edges = [0, *sorted({edge % (len(data) + 1) for edge in cuts}), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges) if a < b]


PIECES = [
    "a",
    "b",
    "é",
    "你",
    "🙂",
    "\n",
    "\n\n",
    " ",
    "<",
    "</",
    "think",
    ">",
    "<think>",
    CLOSING,
    "\ufffd",
    "STOP",
    "ST",
]
TEXT = st.lists(st.sampled_from(PIECES), max_size=25).map("".join)
CUTS = st.lists(st.integers(0, 10**6), max_size=60)


def stream(vocabulary, **options):
    return TextStream({"small": vocabulary.decode, "big": vocabulary.decode}, **options)


def run(text_stream, segments, chunking=()):
    """All deltas of these (author, ids), each segment fed in chunks."""
    deltas = []
    for author, ids in segments:
        for chunk in cut(ids, chunking):
            deltas += text_stream.feed(author, chunk)
    return deltas + text_stream.flush()


def joined(deltas, channel=None):
    return "".join(delta.text for delta in deltas if channel in (None, delta.channel))


def merged(deltas):
    """Neighbours of one author and channel as one."""
    out = []
    for delta in deltas:
        if out and out[-1][:2] == (delta.author, delta.channel):
            out[-1] = (*out[-1][:2], out[-1][2] + delta.text)
        elif delta.text:
            out.append((delta.author, delta.channel, delta.text))
    return out


def reference(text, starts_in_reasoning):
    """Reasoning and content of a whole text."""
    if text.lstrip().startswith(markup.THINK_OPEN):
        text, starts_in_reasoning = text.lstrip().removeprefix(markup.THINK_OPEN), True
    if not starts_in_reasoning:
        return "", text
    reasoning, mark, content = text.partition(CLOSING)
    return (reasoning.strip("\n") if mark else reasoning.lstrip("\n")), content.lstrip("\n")


# Token ids to text


@given(text=TEXT, cuts=CUTS)
def test_tokens_cut_anywhere_give_back_the_text(text, cuts):
    vocabulary = Bytes()
    detokenizer = Detokenizer(vocabulary.decode)
    ids = vocabulary.ids(cut(text.encode(), cuts))
    assert "".join(map(detokenizer.push, ids)) + detokenizer.flush() == text


@given(text=TEXT.filter(lambda text: "\ufffd" not in text), cuts=CUTS)
def test_bytes_that_spoil_a_whole_run_give_back_the_text(text, cuts):
    vocabulary = ByteFallback()
    detokenizer = Detokenizer(vocabulary.decode)
    pieces = [bytes([b]) for b in text.encode()]
    assert "".join(map(detokenizer.push, vocabulary.ids(pieces))) + detokenizer.flush() == text


@given(garbage=st.lists(st.binary(min_size=1, max_size=3), max_size=200))
def test_garbage_is_never_held_back_for_ever(garbage):
    vocabulary = Bytes()
    detokenizer = Detokenizer(vocabulary.decode)
    told = [detokenizer.push(token) for token in vocabulary.ids(garbage)]
    assert all(any(told[i : i + 20]) for i in range(len(told) - 20))


def test_half_a_character_waits_for_its_other_half():
    vocabulary = Bytes()
    detokenizer = Detokenizer(vocabulary.decode)
    first, second = vocabulary.ids(["a🙂".encode()[:3], "a🙂".encode()[3:]])
    assert [detokenizer.push(first), detokenizer.push(second)] == ["a", "🙂"]


@pytest.mark.parametrize("length", [1, 3, 30])
def test_only_the_text_s_own_first_space_is_dropped(length):
    vocabulary = Spaced([" one", " two"])
    detokenizer = Detokenizer(vocabulary.decode)
    assert "".join(map(detokenizer.push, [0, 1] * length)) == " ".join(["one two"] * length)
    assert detokenizer.flush() == ""
    assert detokenizer.push(0) == " one"


def test_the_space_after_the_prompt_is_told():
    vocabulary = Spaced([" one", " two"])
    assert Detokenizer(vocabulary.decode, context=[0]).push(1) == " two"


# Chunks, authors, channels


@given(text=TEXT, cuts=CUTS, chunking=CUTS, switch=st.integers(0, 60), flags=st.tuples(st.booleans(), st.booleans()))
def test_the_text_does_not_depend_on_the_chunks(text, cuts, chunking, switch, flags):
    stops, starts = flags
    vocabulary = Bytes()
    ids = vocabulary.ids(cut(text.encode(), cuts))
    segments = [("small", ids[:switch]), ("big", ids[switch:])]
    options = {"stop": ("STOP", "b\n") if stops else (), "starts_in_reasoning": starts}
    whole = run(stream(vocabulary, **options), segments)
    chunked = run(stream(vocabulary, **options), segments, chunking)
    assert merged(chunked) == merged(whole)


@given(text=TEXT, cuts=CUTS, switch=st.integers(0, 60), starts=st.booleans())
def test_nothing_but_marks_and_their_newlines_is_lost(text, cuts, switch, starts):
    vocabulary = Bytes()
    ids = vocabulary.ids(cut(text.encode(), cuts))
    segments = [("small", ids[:switch]), ("big", ids[switch:])]
    deltas = run(stream(vocabulary, starts_in_reasoning=starts), segments)
    assert (joined(deltas, "reasoning"), joined(deltas, "content")) == reference(text, starts)
    assert joined(run(stream(vocabulary, thinking=None), segments)) == text


@given(
    text=TEXT,
    cuts=CUTS,
    stop=st.lists(st.sampled_from(["STOP", "ST", "\n\n", "a\n", "🙂b", CLOSING, "aa"]), min_size=1),
)
def test_no_stop_text_leaks_and_all_before_it_passes(text, cuts, stop):
    vocabulary = Bytes()
    text_stream = stream(vocabulary, stop=stop, thinking=None)
    out = joined(run(text_stream, [("small", vocabulary.ids(cut(text.encode(), cuts)))]))
    assert text_stream.stopped == any(s in text for s in stop)
    assert out == text if not text_stream.stopped else text.startswith(out)
    assert not any(s in out for s in stop)
    if text_stream.stopped:
        assert any(text.startswith(s, len(out)) for s in stop)


@given(text=TEXT, cuts=CUTS, stops=st.booleans())
def test_every_token_is_reported_once_with_its_text(text, cuts, stops):
    vocabulary = Bytes()
    ids = vocabulary.ids(cut(text.encode(), cuts))
    text_stream = stream(vocabulary, stop=("STOP",) if stops else (), thinking=None)
    deltas = text_stream.feed("small", ids, [-float(i) for i in range(len(ids))]) + text_stream.flush()
    told = [token for delta in deltas for token in delta.logprobs]
    assert [token.logprob for token in told] == [-float(i) for i in range(len(told))]
    if not text_stream.stopped:
        assert len(told) == len(ids)
    # What no token completed is told at the end, on behalf of none.
    untold = joined(deltas).removeprefix("".join(token.text for token in told))
    assert set(untold) <= {"\ufffd"}


def test_thinking_s_tokens_are_reported_though_the_mark_is_not_shown():
    vocabulary = Bytes()
    ids = vocabulary.ids([b"x", b"\n</th", b"ink>\n", b"y"])
    deltas = stream(vocabulary).feed("small", ids, [-1, -2, -3, -4])
    assert merged(deltas) == [("small", "reasoning", "x"), ("small", "content", "y")]
    assert [token for delta in deltas for token in delta.logprobs] == [
        TokenLogprob("x", -1),
        TokenLogprob("\n</th", -2),
        TokenLogprob("ink>\n", -3),
        TokenLogprob("y", -4),
    ]


def test_a_mark_across_authors_ends_the_thinking():
    vocabulary = Bytes()
    a, b, c = vocabulary.ids([b"hm\n</th", b"ink>", b"\n\n4"])
    deltas = run(stream(vocabulary), [("small", [a]), ("big", [b]), ("small", [c])])
    assert merged(deltas) == [("small", "reasoning", "hm"), ("small", "content", "4")]


def test_a_mark_of_a_thinking_that_never_began_is_content():
    vocabulary = Bytes()
    (token,) = vocabulary.ids([f"a{CLOSING}b".encode()])
    deltas = run(stream(vocabulary, starts_in_reasoning=False), [("small", [token])])
    assert joined(deltas, "content") == f"a{CLOSING}b"


def test_what_may_become_a_mark_is_held_back_and_no_more():
    vocabulary = Bytes()
    a, b = vocabulary.ids([b"x\n\n</thi", b"s"])
    text_stream = stream(vocabulary)
    assert joined(text_stream.feed("small", [a])) == "x"
    assert joined(text_stream.feed("small", [b])) == "\n\n</this"


@pytest.mark.parametrize("before", [b"", b"x"])
def test_an_endless_run_of_newlines_is_not_held_back_for_ever(before):
    vocabulary = Bytes()
    ids = vocabulary.ids([before, *[b"\n", b" "] * 1000, *[b"\n"] * 1000])
    deltas = stream(vocabulary).feed("small", ids)
    assert 2800 < len(joined(deltas, "reasoning")) < 3001


def test_a_shared_tokenizer_lets_a_character_pass_from_one_author_to_the_other():
    vocabulary = Bytes()
    a, b = vocabulary.ids(["🙂".encode()[:2], "🙂".encode()[2:]])
    deltas = run(stream(vocabulary, thinking=None), [("small", [a]), ("big", [b])])
    assert merged(deltas) == [("big", "content", "🙂")]


def test_different_tokenizers_keep_their_halves_apart():
    small, big = Bytes(), Bytes()
    half, rest = small.ids(["é".encode()[:1]]), big.ids(["é".encode()])
    text_stream = TextStream({"small": small.decode, "big": big.decode}, thinking=None)
    assert merged(run(text_stream, [("small", half), ("big", rest)])) == [
        ("small", "content", "\ufffd"),
        ("big", "content", "é"),
    ]


def test_different_tokenizers_keep_the_space_between_their_segments():
    small, big = Spaced([" one", " two"]), Spaced([" three"])
    text_stream = TextStream({"small": small.decode, "big": big.decode}, thinking=None, context={"big": [0]})
    assert joined(run(text_stream, [("small", [0]), ("big", [0]), ("small", [1])])) == "one three two"


# Stop texts, and what is inserted


def test_the_stop_that_ends_first_counts_and_of_those_the_longest():
    vocabulary = Bytes()
    (token,) = vocabulary.ids([b"1 xab 2"])
    assert joined(run(stream(vocabulary, stop=("xab 2", "b", "ab"), thinking=None), [("small", [token])])) == "1 x"


def test_what_is_fed_after_a_stop_is_ignored():
    vocabulary = Bytes()
    a, b = vocabulary.ids([b"1.", b"2"])
    text_stream = stream(vocabulary, stop=(".",), thinking=None)
    assert joined(text_stream.feed("small", [a, b]) + text_stream.feed("big", [b]) + text_stream.flush()) == "1"


@pytest.mark.parametrize("pieces", [[b"one.\n\n", b"x"], [b"one.\n", b"\n", b"x"], [b"one.", b"\n\n"]])
def test_the_token_in_which_a_stop_begins_is_reported_up_to_it(pieces):
    vocabulary = Bytes()
    ids = vocabulary.ids(pieces)
    deltas = stream(vocabulary, stop=("\n\n",), thinking=None).feed("small", ids, [-1, -2, -3][: len(ids)])
    assert [token for delta in deltas for token in delta.logprobs] == [TokenLogprob("one.", -1)]


@given(text=TEXT, cuts=CUTS, span=st.tuples(st.integers(0, 60), st.integers(0, 60)), stops=st.booleans())
def test_visible_tags_change_no_text_and_are_never_lost(text, cuts, span, stops):
    vocabulary = Bytes()
    ids = vocabulary.ids(cut(text.encode(), cuts))
    start, end = sorted(span)
    options = {"stop": ("STOP", "b\n") if stops else ()}
    hidden = run(stream(vocabulary, **options), [("small", ids[:start]), ("big", ids[start:end]), ("small", ids[end:])])
    shown = stream(vocabulary, **options)
    deltas = shown.feed("small", ids[:start]) + shown.insert("big", markup.OPEN)
    deltas += shown.feed("big", ids[start:end]) + shown.insert("big", markup.CLOSE)
    deltas += shown.feed("small", ids[end:]) + shown.flush()
    text = joined(deltas)
    assert (text.count(markup.OPEN), text.count(markup.CLOSE)) == (1, 1)
    assert text.index(markup.OPEN) < text.index(markup.CLOSE)
    assert markup.strip(text) == joined(hidden)
