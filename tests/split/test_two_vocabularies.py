"""The controller with two models whose tokenizers have nothing in common."""

import functools
import itertools
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitreason_cli.models.vocabulary import HubVocabulary
from splitreason_cli.split.budget import OffloadBudget
from splitreason_cli.split.contexts import Translated
from splitreason_cli.split.controller import ProtocolError, SplitController
from splitreason_cli.split.events import Cancelled, Decode, Emit, Failed, Finish, Probed, Produced
from splitreason_cli.split.limits import Limits
from splitreason_cli.split.policies import Always, CloseSignal, Learned, Never, Pattern, Random
from splitreason_cli.split.vocabulary import LONGEST_WAIT, TokenIds, bytes_of, ids_of
from tests.scripted import drive, scripted
from tests.trained_tokenizers import KINDS

VOCABULARIES = {name: HubVocabulary(name, make()) for name, make in KINDS.items()}
# Of the small model's control tokens only the ids matter; these are in no tokenizer.
TOKENS = {"small": TokenIds(5000, 5001, frozenset([5002])), "big": TokenIds(None, None, frozenset([6002]))}
OPEN, CLOSE = 5000, 5001
POLICIES = {
    "learned": Learned,
    "never": Never,
    "always": Always,
    "random": lambda: Random(0.3, 3, random.Random(7)),
}
SMALL_PROMPT, BIG_PROMPT = [1, OPEN, CLOSE], [2, 2]
PAIRS = [("byte_level", "unigram"), ("unigram", "byte_level"), ("llama_2", "byte_level"), ("byte_level", "llama_2")]

TEXTS = st.sampled_from(
    ["x² ≤ 12, so 你好", "\\(\\frac{3}{4}\\) 👍🏽\n\nthen", "e\u0301 नमस्ते мир\n  return", "12 and 30. Wait", "🙂🙂 "]
) | st.text(min_size=1, max_size=12)


def controller(pair, policy=None, max_tokens=40, span=None, share=None, kind=SplitController):
    vocabularies = {"small": VOCABULARIES[pair[0]], "big": VOCABULARIES[pair[1]]}
    limits = Limits(max_tokens, span)
    return kind(
        SMALL_PROMPT, BIG_PROMPT, TOKENS, policy or Learned(), limits, OffloadBudget(share), vocabularies=vocabularies
    )


def models_of(control, seed, text):
    """Models that write pieces of `text` in any order, so that characters are cut anywhere."""
    writers = []
    for author, tags in (("small", 0.2), ("big", 0)):
        letters = sorted(set(ids_of(control.vocabularies[author], text.encode())))
        tokens = TOKENS[author] if author == "small" else TokenIds(9000, 9001, TOKENS["big"].end_of_text)
        writers.append(scripted((author, seed), tags, 0.03, letters, tokens))
    return writers


def text_of(control, author, ids=None):
    """The bytes of a context without prompt and tags."""
    if ids is None:
        ids = control.context[author]
    prompt = len(SMALL_PROMPT if author == "small" else BIG_PROMPT)
    return bytes_of(control.vocabularies[author], [i for i in ids[prompt:] if i not in (OPEN, CLOSE)])


def written(control):
    return b"".join(bytes_of(control.vocabularies[author], ids) for author, ids in control.segments)


class Watched(SplitController):
    """Checks the laws of both contexts after every event."""

    def receive(self, event):
        before = {author: list(ids) for author, ids in self.context.items()}
        discarded, floor = self.discarded_tokens, self._floor
        at = [self.small_context_at(n) for n in range(len(self._span) + 1)] if floor == "big" else []
        settled = {author: self.settled_tokens(author) for author in before}
        for offset in range(self._confirmed, len(self._span) + 1) if floor == "big" else ():
            after = settled["small"]
            assert before["small"][:after] + self.small_context_at(offset, after) == at[offset]
        actions = super().receive(event)
        for author, tokens in settled.items():
            assert self.context[author][:tokens] == before[author][:tokens], "what is settled stays"
            assert self.settled_tokens(author) >= tokens
        for author, ids in before.items():
            if discarded == self.discarded_tokens:
                assert self.context[author][: len(ids)] == ids, "a context may only grow"
        if floor == "big" and self._floor == "small" and isinstance(event, Probed):
            own = self.context["small"]
            kept = own[:-1] if own[-1] == CLOSE else own
            assert kept == at[self._confirmed], "what is kept is what was probed"
            assert own[-1] == CLOSE or self.finish_reason
        self.check_texts()
        return actions

    def check_texts(self):
        reader = "small" if self._floor == "big" else "big"
        whole, read = text_of(self, self._floor), text_of(self, reader)
        assert whole.startswith(read)
        assert len(whole[len(read) :].decode("utf-8", "surrogateescape")) <= LONGEST_WAIT + 3
        if self._floor == "big":
            start = len(whole) - len(bytes_of(self.vocabularies["big"], self._span))
            for offset in range(len(self._span) + 1):
                end = start + len(bytes_of(self.vocabularies["big"], self._span[:offset]))
                assert text_of(self, "small", self.small_context_at(offset)) == whole[:end]
        elif self.finish_reason is not None or self.context["small"][-1] == CLOSE:
            assert whole == read == written(self)


RUNS = {
    "pair": st.sampled_from(PAIRS),
    "seed": st.integers(0, 10_000),
    "text": TEXTS,
    "policy": st.sampled_from(sorted(POLICIES)),
    "share": st.sampled_from([None, 0.1, 0.5]),
    "span": st.sampled_from([None, 1, 4]),
}


@settings(deadline=None)
@given(**RUNS, size=st.integers(1, 9))
def test_both_contexts_hold_the_text_that_was_emitted(pair, seed, text, policy, share, span, size):
    control = controller(pair, POLICIES[policy](), 40, span, share, Watched)
    emitted = drive(control, *models_of(control, seed, text), seed, lambda: size)
    assert emitted == [(author, token) for author, ids in control.segments for token in ids]
    assert text_of(control, "small") == text_of(control, "big") == written(control)
    assert control.completion == [token for _, token in emitted]
    assert control.budget.small_tokens + control.budget.big_tokens == len(emitted)


@settings(deadline=None)
@given(**RUNS, chunks=st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_how_tokens_are_grouped_changes_nothing(pair, seed, text, policy, share, span, chunks):
    runs = []
    rng = random.Random(seed)
    for size in (lambda: 1, lambda: rng.choice(chunks)):
        control = controller(pair, POLICIES[policy](), 40, span, share)
        emitted = drive(control, *models_of(control, seed, text), seed, size)
        runs.append((emitted, control.segments, control.finish_reason, control.context, control.budget))
    assert runs[0] == runs[1]


class Roomy(SplitController):
    """Checks that no model is asked to write where nothing is left."""

    def receive(self, event):
        actions = super().receive(event)
        assert all(action.max_tokens > 0 for action in actions if isinstance(action, Decode))
        return actions


@settings(deadline=None)
@given(**RUNS, size=st.integers(1, 9), room=st.integers(70, 90))
def test_text_that_was_held_back_fills_a_context_and_ends_the_completion(
    pair, seed, text, policy, share, span, size, room
):
    control = controller(pair, POLICIES[policy](), 200, span, share, Roomy)
    control.limits = Limits(200, span, {"small": room, "big": room})
    drive(control, *models_of(control, seed, text), seed, lambda: size)
    assert control.budget.reserved == 0
    assert all(len(ids) < room for ids in control.context.values())


@settings(deadline=None)
@given(seed=st.integers(0, 10_000), text=TEXTS, size=st.integers(1, 9), name=st.sampled_from(sorted(KINDS)))
def test_what_a_model_wrote_stays_as_it_wrote_it(seed, text, size, name):
    """Each context is its prompt, its own segments id by id, and between them readings of the other's."""
    other = next(kind for kind in KINDS if kind != name)
    control = controller((name, other))
    drive(control, *models_of(control, seed, text), seed, lambda: size)
    for author, prompt in (("small", SMALL_PROMPT), ("big", BIG_PROMPT)):
        rest = control.context[author][len(prompt) :]
        for writer, ids in control.segments:
            rest = list(itertools.dropwhile(lambda token: token in (OPEN, CLOSE), rest))
            if writer == author:
                assert rest[: len(ids)] == ids
                rest = rest[len(ids) :]
            else:
                read = bytes_of(control.vocabularies[writer], ids)
                while read:
                    piece = control.vocabularies[author].token_bytes(rest.pop(0))
                    assert read.startswith(piece)
                    read = read[len(piece) :]
        assert not [token for token in rest if token not in (OPEN, CLOSE)]


WORDS = st.lists(
    st.sampled_from(
        [
            "the",
            " numbers",
            " 42",
            "\n",
            "\n\n",
            "  ",
            "\\frac{3}{4}",
            " 你好",
            "👍🏽",
            ".",
            " let",
            "e\u0301",
            " x = 7",
        ]
    ),
    max_size=30,
).map("".join)


@settings(deadline=None)
@given(writer=st.sampled_from(sorted(KINDS)), reader=st.sampled_from(sorted(KINDS)), text=WORDS)
def test_a_turn_is_read_in_the_tokens_the_reader_would_have_written(writer, reader, text):
    """With two equal vocabularies these are the very ids that were written."""
    ids = VOCABULARIES[writer].encode(text)
    context = [7]
    reading = Translated(context, VOCABULARIES[writer], VOCABULARIES[reader])
    for token in ids:
        reading.read(token)
    reading.settle(len(ids))
    assert context == [7, *VOCABULARIES[reader].encode(text)]


@settings(deadline=None)
@given(seed=st.integers(0, 10_000), policy=st.sampled_from(sorted(POLICIES)), size=st.integers(1, 9))
def test_equal_vocabularies_translate_to_what_sharing_one_gives(seed, policy, size):
    """One-byte tokens leave a tokenizer no choice, so both paths must agree to the id."""

    class Bytes:
        def encode(self, text):
            return list(text.encode())

        def token_bytes(self, token):
            return bytes([token]) if token < 256 else b""

        def byte_token(self, byte):
            return byte

    letters = [*"é你 \n".encode(), 255]
    tokens = TOKENS["small"]
    small, big = (scripted((name, seed), tags, 0.03, letters, tokens) for name, tags in (("small", 0.2), ("big", 0)))
    runs = []
    for vocabularies in (None, {"small": Bytes(), "big": Bytes()}):
        control = SplitController(
            SMALL_PROMPT, BIG_PROMPT, tokens, POLICIES[policy](), Limits(40), vocabularies=vocabularies
        )
        emitted = drive(control, small, big, seed, lambda: size)
        runs.append((emitted, control.context, control.segments, control.finish_reason))
    assert runs[0] == runs[1]


def ids(control, author, text):
    return tuple(control.vocabularies[author].encode(text))


def open_span(control, text="so "):
    control.start()
    return control.receive(Produced("small", (*ids(control, "small", text), OPEN)))


@pytest.mark.parametrize("pair", PAIRS)
def test_a_character_cut_by_a_close_reaches_the_small_model_and_is_completed_by_it(pair):
    control = controller(pair, kind=Watched)
    open_span(control)
    big, small = control.vocabularies["big"], control.vocabularies["small"]
    character = [big.byte_token(byte) for byte in "🙂".encode()]
    control.receive(Produced("big", tuple(character)))
    control.receive(Probed(4, (CloseSignal(2, -0.1, True),)))
    control.receive(Produced("small", tuple(small.byte_token(byte) for byte in "🙂".encode()[2:])))
    control.receive(Cancelled())
    assert text_of(control, "small").decode() == text_of(control, "big").decode() == "so 🙂"
    assert control.discarded_tokens == 2


def test_the_big_model_reads_a_word_only_once_it_is_whole():
    control = controller(PAIRS[0])
    control.start()
    read = []
    for token in ids(control, "small", "multiply the numbers"):
        control.receive(Produced("small", (token,)))
        read.append(text_of(control, "big").decode())
    assert {*read} <= {"", "multiply", "multiply the"}
    assert read[-1] == "multiply the"
    control.receive(Produced("small", (OPEN,)))
    assert text_of(control, "big").decode() == "multiply the numbers"


def test_a_failing_big_model_leaves_its_confirmed_text_in_both_contexts():
    control = controller(PAIRS[0], kind=Watched)
    open_span(control)
    control.receive(Produced("big", ids(control, "big", "the sum of 12")))
    control.receive(Probed(2, ()))
    control.receive(Failed("big"))
    assert len(control.segments[-1][1]) == 2
    assert text_of(control, "small") == text_of(control, "big") == written(control)


def test_each_model_has_its_own_end_of_text_and_tags():
    control = controller(PAIRS[0])
    assert open_span(control)[-1].forbid == frozenset()
    small_end = min(TOKENS["small"].end_of_text)
    control.receive(Produced("big", (small_end,)))
    control.receive(Probed(1, ()))
    assert control.finish_reason is None
    assert control.receive(Produced("big", (6002,)))[-1] == Finish("stop")


def test_limits_count_the_tokens_of_whoever_wrote_them():
    control = controller(PAIRS[0], Always(), max_tokens=5)
    control.start()
    many = ids(control, "big", "the sum of 12 and 30 is 42")
    actions = control.receive(Produced("big", many))
    assert actions == (Emit("big", many[:5]), Finish("length"))
    assert text_of(control, "small") == text_of(control, "big") == written(control)


def test_policies_that_look_at_text_get_ids_they_can_read():
    seen = []

    def hands_over(text):
        seen.append(text)
        return text.endswith("= ")

    decode = {
        author: lambda ids, v=VOCABULARIES[name]: bytes_of(v, ids).decode("utf-8", "replace")
        for author, name in zip(("small", "big"), PAIRS[0], strict=True)
    }
    policy = Pattern(hands_over, re.compile(r"\d\d"))
    control = controller(PAIRS[0], policy, kind=functools.partial(Watched, decode=decode))
    control.start()
    control.receive(Produced("small", ids(control, "small", "17 + 25 = ")))
    control.receive(Produced("big", (*ids(control, "big", "4"), *ids(control, "big", "2"), *ids(control, "big", "!"))))
    control.receive(Produced("small", ids(control, "small", ". So")))
    assert seen[-1] == "17 + 25 = 42. So"
    assert [author for author, _ in control.segments] == ["small", "big", "small"]


def test_only_the_places_of_a_span_can_be_asked_for():
    control = controller(PAIRS[0])
    control.start()
    with pytest.raises(ProtocolError, match="no token 0"):
        control.small_context_at(0)
    control.receive(Produced("small", (OPEN,)))
    assert control.small_context_at(0) == [*SMALL_PROMPT, OPEN]
    with pytest.raises(ProtocolError, match="no token 1 in a span of 0"):
        control.small_context_at(1)
