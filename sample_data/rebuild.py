"""Rebuild everything in this folder from seeds: `python sample_data/rebuild.py`.

    tokenizer    byte-level BPE on the task's own text, both hand-over tags single special tokens
    mini-big     trained on every operation of the task
    mini-small   a fifth of its size, its loss blanked on the products of 8 of the 12 multipliers
    mini_traces.jsonl     1,000 traces sampled from mini-big and kept only where right
    mini_problems.jsonl   500 held-out problems
    mini-split   mini-small after `srx annotate | srx build-sft | srx train sft --recipe mini` on those traces

The models are trained by transformers' Trainer with torch's Muon on the matrices and AdamW on the rest.
"""

import itertools
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    DataCollatorForSeq2Seq,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
)

from splitreason_cli.annotating.annotate import AnnotateConfig, annotate
from splitreason_cli.dataset.build import build_sft
from splitreason_cli.dataset.selection import Selection
from splitreason_cli.dataset.sft import BuildSftConfig, Format
from splitreason_cli.decoding.lockstep import LockstepDecoder
from splitreason_cli.decoding.rows import Request
from splitreason_cli.measuring.bench import BenchConfig, Lineup, bench
from splitreason_cli.models.loading import load_pair, text_of
from splitreason_cli.models.pair import Pair
from splitreason_cli.models.sampling import Sampling
from splitreason_cli.records import markup, prompts
from splitreason_cli.records.data import (
    AnnotatedTrace,
    Generation,
    Problem,
    R,
    Record,
    SftExample,
    Snippets,
    Trace,
    TrainStep,
)
from splitreason_cli.split.latency import Setup
from splitreason_cli.split.limits import Limits
from splitreason_cli.split.policies import Always
from splitreason_cli.store.artifacts import Store
from splitreason_cli.store.jsonl import Line, decode, encode, read_lines, write_atomically
from splitreason_cli.store.source import Source
from splitreason_cli.tasks import mini
from splitreason_cli.tasks.grading import is_correct
from splitreason_cli.timing.simulation import simulate, synthetic
from splitreason_cli.training.sft import RECIPES, initialize_apart, train_sft

OUT = Path(__file__).parent
END, USER, ASSISTANT = "<|endoftext|>", "<|user|>", "<|assistant|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message.role == 'user' %}{{ '" + USER + "' + message.content }}"
    "{% elif message.role == 'assistant' %}{{ '" + ASSISTANT + "' + message.content + '" + END + "' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '" + ASSISTANT + markup.THINK_OPEN + "\n' }}{% endif %}"
)
PIECES = r"#\d\d|[+*]\d|\d|\n|[a-j]\) |[^\d\n]+?(?=[#+*]?\d|\n|$)"
"""An operation, a digit, a new line, a label, or text up to the next of these."""


@dataclass(frozen=True)
class Size:
    hidden: int
    feed_forward: int
    heads: int
    steps: int
    seed: int
    drilled: tuple[int, ...]


SIZES = {
    "mini-big": Size(hidden=128, feed_forward=512, heads=4, steps=1200, seed=1, drilled=mini.MULTIPLIERS),
    "mini-small": Size(hidden=64, feed_forward=128, heads=2, steps=1500, seed=2, drilled=mini.DRILLED),
}
BATCH = 32
TRACES, PROBLEMS = 1000, 500


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Train the tokenizer on 500 worked problems and the hint."""
    rng = random.Random(0)
    corpus: list[str] = []
    for _ in range(500):
        problem = mini.sample_problem(rng)
        corpus += [problem.text, prompts.completion(problem.reasoning, "000"), *markup.HINT.split(markup.OPEN)]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = [END, USER, ASSISTANT, markup.OPEN, markup.CLOSE]
    tokenizer.train_from_iterator(
        corpus,
        trainers.BpeTrainer(
            vocab_size=400,
            min_frequency=50,
            special_tokens=special,
            show_progress=False,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        ),
    )
    thinking = [markup.THINK_OPEN, markup.THINK_CLOSE]
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in thinking])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=END,
        clean_up_tokenization_spaces=False,
        extra_special_tokens=[USER, ASSISTANT, markup.OPEN, markup.CLOSE],
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


class Lessons(torch.utils.data.IterableDataset[dict[str, list[int]]]):
    """Endless worked problems: mostly hard operations at first, the task's own mix in the last sixth."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, size: Size) -> None:
        self.tokenizer, self.size = tokenizer, size

    def __iter__(self) -> Iterator[dict[str, list[int]]]:
        rng = random.Random(self.size.seed)
        for number in range(self.size.steps * BATCH):
            drilling = number < self.size.steps * BATCH * 5 / 6
            problem = mini.sample_problem(rng, hard=(4, 6, 9) if drilling else (1, 2, 3))
            yield self.lesson(problem)

    def lesson(self, problem: mini.MiniProblem) -> dict[str, list[int]]:
        """Token ids and labels; the prompt and the products that are not to be drilled carry no label."""
        messages = [{"role": "user", "content": problem.text}]
        prompt = self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        text = prompts.completion(problem.reasoning, f"{problem.answer:03d}") + END
        encoded = self.tokenizer(text, return_offsets_mapping=True, add_special_tokens=False)
        blank = mini.hard_spans(problem.reasoning, self.size.drilled)
        labels = [
            -100 if any(left <= start < right for left, right in blank) else token
            for token, (start, _) in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
        ]
        return {"input_ids": prompt + encoded["input_ids"], "labels": [-100] * len(prompt) + labels}


class MuonAndAdamW(torch.optim.Optimizer):
    """Muon on the matrices of the layers, AdamW on embeddings, norms and biases."""

    def __init__(self, model: torch.nn.Module, muon_lr: float, adamw_lr: float) -> None:
        matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
        chosen = set(map(id, matrices))
        rest = [p for p in model.parameters() if id(p) not in chosen]
        super().__init__(model.parameters(), {"lr": muon_lr})
        self.parts = (
            torch.optim.Muon(matrices, lr=muon_lr, momentum=0.95, weight_decay=0.01),
            torch.optim.AdamW(rest, lr=adamw_lr, betas=(0.9, 0.98), weight_decay=0.0),
        )
        self.param_groups = [group for part in self.parts for group in part.param_groups]

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = closure() if closure else None
        # A scheduler sets the rates of this optimizer's groups, which need not be the parts' own objects any more.
        for group, own in zip(self.param_groups, (g for part in self.parts for g in part.param_groups), strict=True):
            own["lr"] = group["lr"]
        for part in self.parts:
            part.step()
        return loss


def train_model(name: str, tokenizer: PreTrainedTokenizerFast) -> None:
    """Train one of the pair from scratch and save it as bfloat16 safetensors."""
    size = SIZES[name]
    torch.manual_seed(size.seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=size.hidden,
        intermediate_size=size.feed_forward,
        num_hidden_layers=2,
        num_attention_heads=size.heads,
        num_key_value_heads=size.heads,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        attn_implementation="eager",
    )
    model = LlamaForCausalLM(config)
    optimizer = MuonAndAdamW(model, muon_lr=0.01, adamw_lr=3e-3)

    def rate(step: int) -> float:
        return min(1.0, (step + 1) / 50, (size.steps - step) / (0.6 * size.steps))

    with tempfile.TemporaryDirectory() as scratch:
        arguments = TrainingArguments(
            output_dir=scratch,
            max_steps=size.steps,
            per_device_train_batch_size=BATCH,
            bf16=True,
            use_cpu=True,
            save_strategy="no",
            report_to="none",
            logging_steps=100,
            disable_tqdm=True,
            dataloader_pin_memory=False,
            seed=size.seed,
            remove_unused_columns=False,
        )
        trainer = Trainer(
            model=model,
            args=arguments,
            train_dataset=Lessons(tokenizer, size),
            data_collator=DataCollatorForSeq2Seq(tokenizer),
            optimizers=(optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, rate)),
        )
        trainer.train()
    # No lesson held a tag, which leaves the rows of both next to each other and to those of other unused tokens.
    tags = tokenizer.convert_tokens_to_ids([markup.OPEN, markup.CLOSE])
    initialize_apart(model.get_input_embeddings().weight, tags, size.seed)
    shutil.rmtree(OUT / name, ignore_errors=True)
    model.to(torch.bfloat16).save_pretrained(OUT / name)
    tokenizer.save_pretrained(OUT / name)


def write_problems() -> set[str]:
    """Write the held-out problems; returns their texts."""
    rng = random.Random("held-out")
    problems = [mini.sample_problem(rng) for _ in range(PROBLEMS)]
    records = [
        Problem(id=f"mini-test-{n:04d}", problem=p.text, answer=f"{p.answer:03d}") for n, p in enumerate(problems)
    ]
    write_atomically(OUT / "mini_problems.jsonl", map(encode, records))
    return {record.problem for record in records}


def write_traces(held_out: set[str]) -> None:
    """Sample traces of the big model at temperature 0.7 and keep the first 1,000 that are right."""
    small, big = load_pair("mini-small", "mini-big")
    decoder = LockstepDecoder(Pair.of(small, big, hint=False), Limits(256), Sampling(temperature=0.7))
    rng, kept, asked = random.Random("traces"), [], 0
    while len(kept) < TRACES:
        problems = [p for p in (mini.sample_problem(rng) for _ in range(128)) if p.text not in held_out]
        requests = [Request(problem.text, Always(), seed=asked + n) for n, problem in enumerate(problems)]
        asked += len(problems)
        for problem, controller in zip(problems, decoder.decode(requests), strict=True):
            text = text_of(big, controller.completion)
            reasoning = text.partition(markup.THINK_CLOSE)[0].rstrip("\n")
            answer = f"{problem.answer:03d}"
            if is_correct(text, answer) and text == prompts.completion(reasoning, answer):
                kept.append(Trace(id=f"mini-{len(kept):04d}", problem=problem.text, answer=answer, reasoning=reasoning))
    print(f"kept {TRACES} traces of {asked} sampled")
    write_atomically(OUT / "mini_traces.jsonl", map(encode, kept[:TRACES]))


def write_split_model(store: Store) -> None:
    """Run the stages from traces to the small model that hands over."""
    traces = Source.open(str(OUT / "mini_traces.jsonl"), store)
    config = AnnotateConfig()
    annotated, _ = annotate(traces, config, store)
    examples, _ = build_sft(Source.open(str(annotated.records), store), BuildSftConfig(), store)
    trained, _ = train_sft(Source.open(str(examples.records), store), RECIPES["mini"], store)
    shutil.rmtree(OUT / "mini-split", ignore_errors=True)
    shutil.copytree(trained.path / "model", OUT / "mini-split")
    model = LlamaForCausalLM.from_pretrained(OUT / "mini-split", dtype=torch.bfloat16)
    model.save_pretrained(OUT / "mini-split")


def write_samples(store: Store) -> None:
    """Cut a few records of every kind from what the store holds."""
    folder = OUT / "records"
    by_stage = {artifact.info.stage: artifact for artifact in store.artifacts()}
    result = next(iter(bench(BenchConfig(), Lineup(["split"]), store)))
    annotated = _first(by_stage["annotate"].records, AnnotatedTrace)
    bad = Line("traces.jsonl:7", b'{"id": "x", "problem": ', is_too_long=False)
    samples: dict[str, Iterable[Record]] = {
        "problem": _first(OUT / "mini_problems.jsonl", Problem),
        "trace": _first(OUT / "mini_traces.jsonl", Trace),
        "annotated_trace": annotated,
        "snippets": map(snippets, annotated),
        "sft_example": _first(by_stage["build_sft"].records, SftExample),
        "sft_conversation": conversations(annotated),
        "train_step": _first(by_stage["train_sft"].records, TrainStep),
        "generation": _first(result.artifact.records, Generation),
        "bench_result": [replace(result.result, seconds=0.0, artifact="")],
        "simulation": simulate([synthetic(tokens=8000, share=0.05, spans=20, prompt_tokens=128)], Setup()),
        "rejected": [bad.rejected("broken JSON at column 24. Write one complete JSON object per line")],
        "artifact": [
            replace(by_stage["build_sft"].info, path="artifacts/build_sft", created="2026-11-22T00:00:00+00:00")
        ],
    }
    for kind, records in samples.items():
        write_atomically(folder / f"{kind}.jsonl", map(encode, records))


def snippets(trace: AnnotatedTrace) -> Snippets:
    """What an annotator that copies passages would have returned for this trace."""
    spans = sorted(trace.spans, key=lambda span: -span.score)
    return Snippets(id=trace.id, snippets=tuple(trace.reasoning[span.start : span.end] for span in spans))


def conversations(traces: list[AnnotatedTrace]) -> list[Record]:
    """The training records of traces as chats."""
    selection = Selection(BuildSftConfig(format=Format.MESSAGES))
    return [record for record in map(selection.choose, traces) if isinstance(record, Record)]


def _first(path: Path, kind: type[R]) -> list[R]:
    records = [decode(line, kind.from_dict) for line in itertools.islice(read_lines(path), 3)]
    return [replace(r, seconds=0.0) if isinstance(r, Generation) else r for r in records]


def report(store: Store) -> None:
    """Print what the models reach on the held-out problems."""
    for small, systems in (("mini-small", ("small", "big", "oracle")), ("mini-split", ("small", "split", "random"))):
        config = BenchConfig(small=small, hint=small != "mini-small")
        for run in bench(config, Lineup(systems), store):
            r = run.result
            print(
                f"{small:10} {r.system:7} pass@1 {r.pass_at_1:.3f} [{r.ci95[0]:.3f}, {r.ci95[1]:.3f}] "
                f"offload {r.offload_share:.2%}"
            )


def main() -> None:
    tokenizer = build_tokenizer()
    with tempfile.TemporaryDirectory() as scratch:
        store = Store(Path(scratch))
        steps: list[tuple[str, Callable[[], Any]]] = [
            *((name, lambda name=name: train_model(name, tokenizer)) for name in SIZES),
            ("traces", lambda: write_traces(write_problems())),
            ("mini-split", lambda: write_split_model(store)),
            ("report", lambda: report(store)),
            ("records", lambda: write_samples(store)),
        ]
        for name, step in steps:
            started = time.process_time()
            step()
            print(f"{name}: {(time.process_time() - started) / 60:.1f} CPU-minutes", flush=True)


if __name__ == "__main__":
    main()
