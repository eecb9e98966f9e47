"""Tokenizers that differ in everything, trained in a moment: kinds, merges, ids and control tokens."""

import functools
import json

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from splitreason_cli.records import markup

CORPUS = [
    "Let me think. The sum of 12 and 30 is 42, so \\(x^2 + 1 = \\frac{3}{4}\\) and thus $x = \\sqrt{7}$.",
    "Then we multiply the numbers\nand carry the ones.\n\nWait, that's not right: 17 * 23 = 391.",
    "Vérité naïve, déjà vu; größer als Übermut. Привет, мир! 你好，世界。你好吗？ नमस्ते 🙂🙂👍🏽",
    "def f(x):\n    return x + 1\n\nprint(f(41))  # 42\n",
] * 3

TEMPLATE = "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}[answer]"


@functools.cache
def byte_level() -> PreTrainedTokenizerFast:
    """As GPT-2, Qwen and Llama 3 have it, with a normalizer and both hand-over tags."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=["<|end|>", markup.OPEN, markup.CLOSE],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_tokens([AddedToken(markup.THINK_CLOSE, normalized=False)])
    return wrap(tokenizer, "<|end|>")


@functools.cache
def unigram() -> PreTrainedTokenizerFast:
    """As T5 and newer SentencePiece models have it: a space before the text, bytes for what has no piece."""
    trained = Tokenizer(models.Unigram())
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    trained.train_from_iterator(
        CORPUS,
        trainers.UnigramTrainer(show_progress=False, vocab_size=150, unk_token="<unk>", special_tokens=["<unk>"]),
    )
    pieces = sorted(trained.get_vocab(), key=trained.get_vocab().__getitem__)
    scored = [("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0), *((f"<0x{byte:02X}>", 0.0) for byte in range(256))]
    scored += [(piece, -2.0 - place / 50) for place, piece in enumerate(pieces) if piece != "<unk>"]
    tokenizer = Tokenizer(models.Unigram(scored, unk_id=0, byte_fallback=True))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    return wrap(tokenizer, "</s>")


@functools.cache
def llama_2() -> PreTrainedTokenizerFast:
    """BPE over the whole text behind a `▁`, bytes for what is not in the vocabulary."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    trained.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=200, show_progress=False))
    parts = json.loads(trained.to_str())["model"]
    first = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    vocabulary = {piece: token for token, piece in enumerate(dict.fromkeys([*first, "▁", *parts["vocab"]]))}
    merges = [tuple(merge) for merge in parts["merges"]]
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    return wrap(tokenizer, "</s>")


def wrap(tokenizer: Tokenizer, end: str) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=end, chat_template=TEMPLATE)


KINDS = {"byte_level": byte_level, "unigram": unigram, "llama_2": llama_2}
