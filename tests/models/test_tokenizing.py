import shutil
from dataclasses import replace

import orjson
import pytest

from splitreason_cli.dataset.sft import BuildSftConfig, Format, build
from splitreason_cli.errors import ModelError
from splitreason_cli.models.tokenizing import (
    conversation_text,
    count_tokens,
    end_of_text,
    example_ids,
    load_tagging_tokenizer,
    tokenizer_digest,
    why_unteachable,
)
from splitreason_cli.records import markup
from splitreason_cli.records.data import AnnotatedTrace, HardSpan
from splitreason_cli.store.embedded import EMBEDDED_MODELS
from tests import chat_templates
from tests.trained_tokenizers import byte_level, unigram

MINI = EMBEDDED_MODELS["mini-small"]
TAGS = (markup.OPEN, markup.CLOSE)
FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
TRACE = AnnotatedTrace(
    id="t",
    problem="482\na) +7",
    answer="489",
    reasoning="a) 482+7\n489",
    annotator="x",
    spans=(HardSpan(start=9, end=12, score=1.0),),
)


def counted(tokenizer, record):
    return count_tokens(tokenizer, [record])[0]


def built(layout, **config):
    return build(TRACE, BuildSftConfig(format=layout, **config), "train")


def with_template(template):
    tokenizer = load_tagging_tokenizer("mini-small")
    tokenizer.chat_template = template
    return tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return load_tagging_tokenizer("mini-small")


@pytest.fixture
def folder(tmp_path):
    """A tokenizer without a model."""
    for name in FILES:
        shutil.copy(MINI / name, tmp_path)
    return tmp_path


def test_an_example_has_the_tokens_of_the_prompt_and_of_the_completion(tokenizer):
    example = built(Format.PROMPT_COMPLETION)
    text = f"<|user|>{example.prompt[0].content}<|assistant|><think>\n{example.completion}"
    assert counted(tokenizer, example) == len(tokenizer(text, add_special_tokens=False)["input_ids"])


def test_a_conversation_has_the_tokens_of_the_rendered_chat(tokenizer):
    chat = built(Format.MESSAGES)
    rendered = f"<|user|>{chat.messages[0].content}<|assistant|>{chat.messages[1].content}<|endoftext|>"
    assert conversation_text(tokenizer, chat.messages) == rendered
    assert counted(tokenizer, chat) == counted(tokenizer, built(Format.PROMPT_COMPLETION)) + 1


@pytest.mark.parametrize("made", [lambda: load_tagging_tokenizer("mini-small"), byte_level, unigram])
def test_many_records_have_the_tokens_that_each_has_alone_and_in_training(made):
    tokenizer = made()
    texts = ["", "4", "Vérité naïve 🙂 你好", "17*3 = 51\n" * 50, "\ufffd \x00 <|endoftext|> <unk>"]
    traces = [replace(TRACE, problem=text, response=text) for text in texts]
    examples = [build(trace, BuildSftConfig(), "train") for trace in traces]
    chats = [build(trace, BuildSftConfig(format=Format.MESSAGES), "test") for trace in traces]
    mixed = [*examples, *chats, *examples[::-1]]
    assert count_tokens(tokenizer, mixed) == [counted(tokenizer, record) for record in mixed]
    assert count_tokens(tokenizer, examples) == [sum(map(len, example_ids(tokenizer, one))) for one in examples]
    assert count_tokens(tokenizer, chats) == [
        len(tokenizer(conversation_text(tokenizer, chat.messages), add_special_tokens=False)["input_ids"])
        for chat in chats
    ]
    assert count_tokens(tokenizer, []) == []


def test_what_a_tokenizer_file_says_of_truncation_and_padding_changes_no_length(folder, tokenizer):
    path = folder / "tokenizer.json"
    said = orjson.loads(path.read_bytes())
    said["truncation"] = {"direction": "Right", "max_length": 7, "strategy": "LongestFirst", "stride": 0}
    said["padding"] = {
        **{"strategy": {"Fixed": 999}, "direction": "Right", "pad_to_multiple_of": None},
        **{"pad_id": 0, "pad_type_id": 0, "pad_token": "<|endoftext|>"},
    }
    path.write_bytes(orjson.dumps(said))
    example = built(Format.PROMPT_COMPLETION)
    assert counted(load_tagging_tokenizer(str(folder)), example) == counted(tokenizer, example) > 7


def test_a_tokenizer_without_an_end_of_text_is_refused_where_one_is_needed(tokenizer):
    assert end_of_text(tokenizer) == tokenizer.eos_token_id
    endless = load_tagging_tokenizer("mini-small")
    endless.eos_token = None
    with pytest.raises(ModelError, match="no end of text"):
        end_of_text(endless)


def test_a_template_that_strips_the_thinking_does_not_shorten_the_text_to_train_on(tokenizer):
    chat = built(Format.MESSAGES)
    whole = conversation_text(tokenizer, chat.messages)
    assert conversation_text(with_template(chat_templates.STRIPS), chat.messages) == whole


@pytest.mark.parametrize(
    ("template", "think", "said"),
    [
        (chat_templates.OPENS, False, None),
        (chat_templates.STRIPS, False, None),
        (chat_templates.OPENS_TURNS, False, None),
        (chat_templates.OPENS_NONE, True, None),
        (chat_templates.OPENS_NONE, False, "neither the chat template nor the completion opens the thinking"),
        (chat_templates.OPENS, True, "opened 2 times"),
        (chat_templates.CLOSES, False, "the chat template closes the thinking"),
        (chat_templates.CLOSES, True, "the chat template closes the thinking"),
        (chat_templates.OPENS_ANOTHER, True, "opens the thinking with ◁think▷"),
    ],
)
def test_a_completion_and_its_template_open_the_thinking_once(template, think, said):
    reason = why_unteachable(with_template(template), built(Format.PROMPT_COMPLETION, think=think))
    assert reason is None if said is None else said in reason


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (chat_templates.OPENS, None),
        (chat_templates.OPENS_NONE, None),
        (chat_templates.STRIPS, None),
        (chat_templates.OPENS_TURNS, "opened 2 times"),
        (chat_templates.CLOSES, "the chat template closes the thinking"),
        (chat_templates.OPENS_ANOTHER, "opens the thinking with ◁think▷"),
    ],
)
def test_a_conversation_and_its_template_open_the_thinking_once(template, said):
    reason = why_unteachable(with_template(template), built(Format.MESSAGES))
    assert reason is None if said is None else said in reason


def test_a_problem_that_speaks_of_marks_or_stands_in_the_template_is_no_fault():
    for problem in ("assistant", "<think>", "Why </think>?", ""):
        record = build(replace(TRACE, problem=problem), BuildSftConfig(hint=False), "train")
        assert why_unteachable(with_template(chat_templates.OPENS), record) is None


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (chat_templates.FAILS, r"the chat template fails \(roles must alternate in\)\. Correct its chat_template"),
        (chat_templates.BROKEN, "the chat template fails"),
        (chat_templates.MISUSED, "the chat template fails"),
        ({"tool_use": "x"}, "the chat template fails"),
        (chat_templates.LEAVES_OUT, "the chat template leaves out the user's message"),
    ],
)
def test_a_template_that_fails_is_one_clear_line(template, said):
    for layout in Format:
        with pytest.raises(ModelError, match=said):
            why_unteachable(with_template(template), built(layout))


def test_a_folder_without_weights_is_enough_and_they_do_not_change_its_digest(folder):
    assert counted(load_tagging_tokenizer(str(folder)), built(Format.MESSAGES)) > 0
    before = tokenizer_digest(str(folder))
    (folder / "model.safetensors").write_bytes(b"weights")
    assert tokenizer_digest(str(folder)) == before
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    assert tokenizer_digest(str(folder)) != before


def test_tags_count_as_one_token_also_for_a_tokenizer_that_does_not_know_them(folder, tokenizer):
    path = folder / "tokenizer.json"
    known = orjson.loads(path.read_bytes())
    for tag in TAGS:
        known["model"]["vocab"][f"was {tag}"] = known["model"]["vocab"].pop(tag)
    known["added_tokens"] = [token for token in known["added_tokens"] if token["content"] not in TAGS]
    path.write_bytes(orjson.dumps(known))
    config = orjson.loads((folder / "tokenizer_config.json").read_bytes())
    config["extra_special_tokens"] = []
    (folder / "tokenizer_config.json").write_bytes(orjson.dumps(config))
    example = built(Format.PROMPT_COMPLETION)
    assert counted(load_tagging_tokenizer(str(folder)), example) == counted(tokenizer, example)


def test_what_is_no_tokenizer_is_named(folder):
    with pytest.raises(ModelError, match="is a file"):
        load_tagging_tokenizer(str(folder / "tokenizer.json"))
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="has no chat template"):
        load_tagging_tokenizer(str(folder))
    (folder / "tokenizer.json").write_text("nonsense")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_tagging_tokenizer(str(folder))
