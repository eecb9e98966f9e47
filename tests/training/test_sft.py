import dataclasses
import shutil

import pytest
import torch
from huggingface_hub import ModelCard
from transformers import AutoModelForCausalLM, AutoTokenizer

from splitreason_cli.dataset.sft import BuildSftConfig, Format, build, split_of
from splitreason_cli.errors import InputError, MachineError, ModelError, SrxError, UsageError
from splitreason_cli.models.loading import load_model
from splitreason_cli.records import markup
from splitreason_cli.records.data import AnnotatedTrace, HardSpan, Trace, TrainStep
from splitreason_cli.store.artifacts import Store
from splitreason_cli.store.embedded import EMBEDDED_MODELS, MINI_TRACES
from splitreason_cli.store.jsonl import decode, encode, read_lines, write_atomically
from splitreason_cli.store.source import Source
from splitreason_cli.tasks import mini
from splitreason_cli.training import sft as stage
from splitreason_cli.training.sft import RECIPES, TrainSftConfig, tokenize, train_sft
from tests.untagged import write_untagged

from ..older_code import NOTE, older_code

SHORT = dataclasses.replace(RECIPES["mini"], max_steps=12, batch_size=4, per_device_batch_size=2, save_steps=4)


def examples(count):
    """Training examples with the oracle's spans."""
    for line in list(read_lines(MINI_TRACES))[:count]:
        trace = decode(line, Trace.from_dict)
        spans = tuple(HardSpan(start=a, end=b, score=1.0) for a, b in mini.hard_spans(trace.reasoning))
        annotated = AnnotatedTrace(**{**dataclasses.asdict(trace), "spans": spans, "annotator": "oracle"})
        yield build(annotated, BuildSftConfig(), split_of(trace.problem, 0.05))


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def source(tmp_path, store):
    write_atomically(tmp_path / "sft.jsonl", map(encode, examples(40)))
    return Source.open(str(tmp_path / "sft.jsonl"), store)


def weights(artifact):
    return AutoModelForCausalLM.from_pretrained(artifact.path / "model").state_dict()


def test_the_checkpoint_loads_and_the_loss_fell(source, store):
    artifact, cached = train_sft(source, SHORT, store)
    assert not cached
    model = AutoModelForCausalLM.from_pretrained(artifact.path / "model")
    tokenizer = AutoTokenizer.from_pretrained(artifact.path / "model")
    assert model.get_input_embeddings().num_embeddings >= len(tokenizer)
    assert len(tokenizer(markup.OPEN + markup.CLOSE, add_special_tokens=False)["input_ids"]) == 2
    assert tokenizer.chat_template
    steps = [decode(line, TrainStep.from_dict) for line in read_lines(artifact.records)]
    assert [step.step for step in steps] == list(range(1, 13))
    assert steps[-1].loss < steps[0].loss
    assert train_sft(source, SHORT, store) == (artifact, True)


def test_a_stopped_run_resumes_to_bit_equal_weights(source, store, tmp_path):
    whole = weights(train_sft(source, SHORT, store)[0])
    other = Store(tmp_path / "other")

    class StoppedError(Exception):
        pass

    def stop(report):
        if report.step == 10:
            raise StoppedError

    with pytest.raises(StoppedError):
        train_sft(source, SHORT, other, on_step=stop)
    trainer = next((other.root / "work").iterdir()) / "trainer"
    # A kill in the middle of saving leaves a checkpoint without its last file.
    shutil.copytree(trainer / "checkpoint-8", trainer / "checkpoint-9")
    (trainer / "checkpoint-9" / "trainer_state.json").unlink()
    seen = []
    notes = []
    again = Store(other.root, notes.append)
    resumed = weights(train_sft(source, SHORT, again, on_step=lambda report: seen.append(report.step))[0])
    assert (seen, notes) == ([9, 10, 11, 12], ["going on from step 8"])
    assert all(whole[name].equal(resumed[name]) for name in whole)


def test_after_an_upgrade_a_stopped_run_goes_on_from_its_checkpoint_and_says_so(source, store, monkeypatch):
    def stop(report):
        if report.step == 10:
            raise KeyboardInterrupt

    with monkeypatch.context() as before:
        before.setattr("splitreason_cli.training.sft.code_of", older_code)
        with pytest.raises(KeyboardInterrupt):
            train_sft(source, SHORT, store, on_step=stop)
    notes, seen = [], []
    artifact, _ = train_sft(
        source, SHORT, Store(store.root, notes.append), on_step=lambda report: seen.append(report.step)
    )
    assert (notes, seen) == ([NOTE, "going on from step 8"], [9, 10, 11, 12])
    assert len(artifact.info.begun) == 1
    afresh = []
    again, cached = train_sft(
        source, SHORT, Store(store.root, fresh=True), on_step=lambda report: afresh.append(report.step)
    )
    assert (afresh, cached, again.info.begun) == (list(range(1, 13)), False, ())
    assert again.path == artifact.path


def test_tokens_have_the_seam_where_decoding_has_it():
    loaded = load_model("mini-small")
    problem = "482\na) #37\nb) .end"
    record = next(examples(1))
    record = dataclasses.replace(
        record, prompt=(dataclasses.replace(record.prompt[0], content=f"{problem}\n{markup.HINT}"),)
    )
    row = tokenize(loaded.tokenizer, record)
    prompt = loaded.prompt_ids(problem, hint=True)
    assert row["input_ids"][: len(prompt)] == prompt
    assert row["completion_mask"] == [0] * len(prompt) + [1] * (len(row["input_ids"]) - len(prompt))
    assert row["input_ids"][-1] == loaded.tokenizer.eos_token_id
    assert row["input_ids"].count(loaded.token_ids.open) == record.completion.count(markup.OPEN) + 1


@pytest.fixture
def untagged(tmp_path):
    """The small model as a model that has never heard of the tags, its vocabulary padded by `spare` rows."""

    def make(spare):
        folder = tmp_path / f"untagged-{spare}"
        write_untagged("mini-small", folder)
        model = AutoModelForCausalLM.from_pretrained(folder)
        rows = len(AutoTokenizer.from_pretrained(folder)) + spare
        model.resize_token_embeddings(rows)
        model.save_pretrained(folder)
        return folder, rows

    return make


@pytest.mark.parametrize(("spare", "grown"), [(0, 2), (10, 0)])
def test_new_tags_get_rows_of_their_own_and_padding_is_never_shrunk(untagged, spare, grown):
    folder, rows = untagged(spare)
    loaded = stage._load_with_tags(TrainSftConfig(model=str(folder)))
    embeddings = loaded.model.get_input_embeddings().weight
    assert len(embeddings) == rows + grown
    one, two = (embeddings[loaded.tokenizer.convert_tokens_to_ids(tag)] for tag in (markup.OPEN, markup.CLOSE))
    assert torch.cosine_similarity(one, two, dim=0) < 0.9


def test_without_a_training_example_nothing_is_trained(tmp_path, store):
    write_atomically(tmp_path / "x.jsonl", (encode(dataclasses.replace(e, split="test")) for e in examples(2)))
    with pytest.raises(InputError, match="no example of the split 'train'"):
        train_sft(Source.open(str(tmp_path / "x.jsonl"), store), SHORT, store)


def test_a_length_that_no_example_fits_is_refused(source, store):
    with pytest.raises(InputError, match="no example fits into 4 tokens"):
        train_sft(source, dataclasses.replace(SHORT, max_length=4), store)


def test_a_malformed_completion_is_quarantined(tmp_path, store):
    good = list(examples(6))
    bad = dataclasses.replace(good[0], completion=f"{markup.OPEN}never closed")
    write_atomically(tmp_path / "x.jsonl", map(encode, [bad, *good]))
    config = dataclasses.replace(SHORT, max_steps=1)
    artifact, _ = train_sft(Source.open(str(tmp_path / "x.jsonl"), store), config, store)
    assert artifact.rejected.read_bytes().count(b"\n") == 1
    assert b"never closed" in artifact.rejected.read_bytes()


def test_a_conversation_stops_the_work_and_says_what_to_build_instead(tmp_path, store):
    trace = AnnotatedTrace(id="t", problem="p", answer="4", reasoning="r", spans=(), annotator="x")
    chat = build(trace, BuildSftConfig(format=Format.MESSAGES), "train")
    write_atomically(tmp_path / "x.jsonl", map(encode, [*examples(2), chat]))
    with pytest.raises(InputError) as caught:
        train_sft(Source.open(str(tmp_path / "x.jsonl"), store), SHORT, store)
    assert str(caught.value) == (
        "train sft reads records of kind sft_example, not sft_conversation. "
        "Build them with: srx build-sft --format prompt-completion"
    )


def test_a_diverging_run_stops_with_the_step(source, store):
    config = dataclasses.replace(SHORT, learning_rate=1e30)
    with pytest.raises(SrxError, match=r"the loss is (nan|inf) at step"):
        train_sft(source, config, store)


@pytest.fixture(scope="module")
def adapted(tmp_path_factory):
    """A run that trained adapters, and the source and the configuration of it."""
    folder = tmp_path_factory.mktemp("adapted")
    write_atomically(folder / "sft.jsonl", map(encode, examples(12)))
    store = Store(folder / "store")
    source = Source.open(str(folder / "sft.jsonl"), store)
    config = dataclasses.replace(SHORT, max_steps=4, save_steps=2, lora_rank=4)
    return train_sft(source, config, store)[0], source, config


def test_adapters_are_merged_into_a_plain_checkpoint_whose_other_rows_are_as_before(adapted):
    artifact = adapted[0]
    before = AutoModelForCausalLM.from_pretrained(EMBEDDED_MODELS["mini-small"], dtype=torch.float32).state_dict()
    after = weights(artifact)
    assert set(before) == set(after)
    assert not list((artifact.path / "model").glob("adapter*"))
    moved = {name for name in after if not before[name].equal(after[name])}
    linear = {name for name in after if name.endswith("_proj.weight")}
    embeddings = {name for name in after if after[name].shape[0] == len(before["lm_head.weight"])}
    assert moved == linear | embeddings
    tags = load_model("mini-small").token_ids.tags
    for name in embeddings:
        assert set((before[name] != after[name]).any(-1).nonzero().flatten().tolist()) == tags


def test_a_run_of_adapters_resumes_to_bit_equal_weights(adapted, tmp_path):
    whole, source, config = adapted
    other = Store(tmp_path / "other")

    def stop(report):
        if report.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_sft(source, config, other, on_step=stop)
    seen = []
    resumed = train_sft(source, config, other, on_step=lambda report: seen.append(report.step))[0]
    assert seen == [3, 4]
    one, two = weights(whole), weights(resumed)
    assert all(one[name].equal(two[name]) for name in one)


def test_the_model_card_tells_what_the_run_measured(adapted):
    artifact, source, _ = adapted
    card = ModelCard.load(artifact.path / "model" / "README.md")
    assert (card.data.base_model, card.data.tags) == ("mini-small", ["splitreason", "trl", "sft"])
    last = [decode(line, TrainStep.from_dict) for line in read_lines(artifact.records)][-1]
    for row in (f"| loss of the last step | {last.loss:.4g} |", f"| in | {source.digest} |", "| lora_rank | 4 |"):
        assert row in card.text
    texts = [file for file in (artifact.path / "model").iterdir() if file.suffix != ".safetensors"]
    assert not [file.name for file in texts if str(source.path.parent) in file.read_text("utf-8")]


def test_an_alpha_without_a_rank_is_refused():
    with pytest.raises(UsageError, match="--lora-alpha scales an adapter, and there is none"):
        TrainSftConfig(lora_alpha=8)


def test_reports_tell_steps_and_speed(source, store):
    reports = []
    train_sft(source, dataclasses.replace(SHORT, max_steps=2), store, on_step=reports.append)
    assert [(report.step, report.total) for report in reports] == [(1, 2), (2, 2)]
    assert all(report.loss > 0 and report.tokens_per_second > 0 for report in reports)


def full_device(report):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def full_machine(report):
    torch.empty(2**58)


@pytest.mark.parametrize(
    ("use_up", "what"), [(full_device, "the device's memory"), (full_machine, "this machine's memory")]
)
def test_where_memory_ends_the_flags_to_lower_are_named_and_the_checkpoint_stays(source, store, use_up, what):
    config = dataclasses.replace(SHORT, max_steps=3, save_steps=1)
    at_two = lambda report: use_up(report) if report.step == 2 else None  # noqa: E731
    with pytest.raises(MachineError) as caught:
        train_sft(source, config, store, on_step=at_two)
    assert str(caught.value).startswith(
        f"training does not fit into {what}. "
        "Lower --per-device-batch-size (now 2), then --max-length (now 512); the same command on a larger one"
    )
    assert list((store.root / "work").glob("*/trainer/checkpoint-1"))


def test_any_other_error_keeps_its_traceback(source, store):
    def broken(report):
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        train_sft(source, dataclasses.replace(SHORT, max_steps=1), store, on_step=broken)


def test_tags_as_text_are_spelled_and_no_vocabulary_grows(untagged, source, store):
    folder, rows = untagged(0)
    config = dataclasses.replace(SHORT, model=str(folder), tags="text", max_steps=1)
    artifact, _ = train_sft(source, config, store)
    tokenizer = AutoTokenizer.from_pretrained(artifact.path / "model")
    assert len(tokenizer) == rows
    assert len(weights(artifact)["lm_head.weight"]) == rows
    spelled = tokenizer(markup.OPEN, add_special_tokens=False)["input_ids"]
    assert len(spelled) > 1
    assert tokenizer.decode(spelled) == markup.OPEN
    with pytest.raises(ModelError, match=r"no hand-over tags as single tokens. Train it with: srx train sft"):
        load_model(str(artifact.path / "model")).tag_ids()


def test_tags_that_are_tokens_already_cannot_become_text(source, store):
    with pytest.raises(ModelError, match="mini-small already has tags as tokens of its own"):
        train_sft(source, dataclasses.replace(SHORT, tags="text"), store)


def test_the_papers_recipe_is_the_papers():
    paper = RECIPES["paper"]
    assert (paper.epochs, paper.batch_size, paper.learning_rate, paper.warmup) == (3, 64, 5e-5, 0.05)
    assert (paper.max_length, paper.packing) == (16_384, True)
