import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from splitreason_cli.errors import ModelError
from splitreason_cli.models.loading import load_tokenizer
from splitreason_cli.models.vocabulary import HubVocabulary, share_vocabulary
from splitreason_cli.records import markup
from splitreason_cli.split.vocabulary import bytes_of, ids_of
from tests.trained_tokenizers import CORPUS, KINDS, byte_level, llama_2, unigram, wrap

VOCABULARIES = {name: HubVocabulary(name, make()) for name, make in KINDS.items()}
PIECES = st.sampled_from(
    [*" \n\t▁aé你🙂\u0301٣", "  ", "12", "<s>", "</s>", "<|end|>", "<0x41>", "Ω", *markup.HINT.split()]
)
TEXTS = st.text() | st.lists(PIECES).map("".join) | st.sampled_from(CORPUS)


@settings(deadline=None)
@given(kind=st.sampled_from(sorted(KINDS)), text=TEXTS)
def test_the_tokens_of_a_text_spell_it_exactly(kind, text):
    vocabulary = VOCABULARIES[kind]
    assert bytes_of(vocabulary, ids_of(vocabulary, text.encode())).decode() == text


@settings(deadline=None)
@given(kind=st.sampled_from(sorted(KINDS)), data=st.binary())
def test_any_bytes_have_tokens(kind, data):
    vocabulary = VOCABULARIES[kind]
    assert bytes_of(vocabulary, ids_of(vocabulary, data)) == data


@settings(deadline=None)
@given(kind=st.sampled_from(sorted(KINDS)), text=TEXTS)
def test_no_text_is_encoded_as_a_control_token(kind, text):
    tokenizer = KINDS[kind]()
    control = {*tokenizer.all_special_ids, *tokenizer.convert_tokens_to_ids([markup.OPEN, markup.CLOSE])}
    assert not control.intersection(ids_of(VOCABULARIES[kind], text.encode()))


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("text", CORPUS[:4])
def test_bytes_agree_with_what_the_tokenizer_itself_decodes(kind, text):
    tokenizer = KINDS[kind]()
    ids = tokenizer.encode(text, add_special_tokens=False)
    assert bytes_of(VOCABULARIES[kind], ids).decode().strip() == tokenizer.decode(ids).strip()


def test_a_word_of_the_vocabulary_gets_no_space_before_it():
    for vocabulary in VOCABULARIES.values():
        assert bytes_of(vocabulary, vocabulary.encode("the numbers")) == b"the numbers"
        assert len(vocabulary.encode(" numbers")) < len(" numbers")


def test_the_end_of_thinking_is_found_in_text():
    tokenizer = byte_level()
    assert VOCABULARIES["byte_level"].encode(markup.THINK_CLOSE) == tokenizer.convert_tokens_to_ids(
        [markup.THINK_CLOSE]
    )


def test_an_id_beyond_the_tokenizer_stands_for_nothing():
    assert VOCABULARIES["unigram"].token_bytes(10**6) == b""


def test_the_embedded_models_spell_every_text():
    vocabulary = HubVocabulary("mini-big", load_tokenizer("mini-big"))
    assert bytes_of(vocabulary, ids_of(vocabulary, "12 + 你\n".encode())).decode() == "12 + 你\n"


def lossy():
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return wrap(tokenizer, "[UNK]")


def without_bytes():
    tokenizer = Tokenizer(models.BPE({"a": 0, "b": 1}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
    tokenizer.decoder = decoders.ByteLevel()
    return wrap(tokenizer, "a")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lossy, "WordLevel tokenizer that cannot spell every text"),
        (without_bytes, "no token for 254 of the 256 bytes"),
        (lambda: object(), "not a fast tokenizer"),
    ],
)
def test_a_tokenizer_that_cannot_spell_every_text_is_refused(make, message):
    with pytest.raises(ModelError, match=message):
        HubVocabulary("odd", make())


def test_tags_alone_do_not_make_vocabularies_differ():
    assert share_vocabulary(load_tokenizer("mini-split"), load_tokenizer("mini-big"))
    assert share_vocabulary(load_tokenizer("mini-small"), load_tokenizer("mini-split"))


def test_other_tokens_or_other_ids_do():
    assert not share_vocabulary(byte_level(), unigram())
    assert not share_vocabulary(unigram(), llama_2())
