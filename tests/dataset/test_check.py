import shutil

import orjson
import pytest

from splitreason_cli.dataset.check import check_sft
from splitreason_cli.errors import InputError, ModelError, RecordError
from splitreason_cli.store.embedded import EMBEDDED_MODELS, SAMPLE_DATA
from splitreason_cli.store.source import Source
from tests import chat_templates

SAMPLES = SAMPLE_DATA / "records"
TAGGED = ("annotated_trace", "sft_example", "sft_conversation")


@pytest.fixture
def write(tmp_path):
    def to_file(name, *chunks):
        (tmp_path / name).write_bytes(b"".join(chunks))
        return Source.stream(str(tmp_path / name))

    return to_file


def sample(kind):
    return (SAMPLES / f"{kind}.jsonl").read_bytes()


def test_the_samples_of_all_kinds_are_clean_in_any_mixture(write):
    source = write("in.jsonl", *map(sample, TAGGED))
    for kind in ("trace", "annotated_trace"):
        checked = check_sft(source, write("traces.jsonl", sample(kind)))
        assert str(checked) == "checked 9 records: 9 fine, 0 rejected"


def test_every_fault_is_reported_with_its_line(write):
    lines = sample("sft_example").splitlines(keepends=True)
    faults = []
    source = write("in.jsonl", lines[0], b"{\n", lines[1].replace(b"</bigmodel>\\n", b"\\n"), sample("trace"))
    checked = check_sft(source, on_fault=faults.append)
    assert (checked.records, checked.fine, checked.rejected) == (6, 1, 5)
    assert [fault.where.rpartition(":")[2] for fault in faults] == ["2", "3", "4", "5", "6"]
    assert "never closed" in faults[1].reason


def test_text_is_compared_with_the_trace_of_the_same_id(write):
    altered = [orjson.loads(line) for line in sample("trace").splitlines()]
    altered[1]["reasoning"] += "!"
    faults = []
    traces = write("traces.jsonl", *(orjson.dumps(trace) + b"\n" for trace in altered))
    checked = check_sft(write("in.jsonl", *map(sample, TAGGED)), traces, on_fault=faults.append)
    assert checked.rejected == len(faults) == 3
    assert {fault.reason for fault in faults} == {"the reasoning without tags is not that of the trace 'mini-0001'"}


def test_inputs_without_records_and_bad_traces_are_errors(write):
    with pytest.raises(InputError, match="the input is empty"):
        check_sft(write("in.jsonl"))
    with pytest.raises(RecordError, match=r"traces\.jsonl:1: expected a record of kind trace or annotated_trace"):
        check_sft(write("in.jsonl", sample("sft_example")), write("traces.jsonl", sample("problem")))


def test_records_are_checked_against_the_template_they_are_to_be_trained_with(write, tmp_path):
    faults = []
    source = write("in.jsonl", *map(sample, TAGGED))
    assert check_sft(source, tokenizer="mini-small").rejected == 0
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(EMBEDDED_MODELS["mini-small"] / name, tmp_path)
    (tmp_path / "chat_template.jinja").write_text(chat_templates.OPENS_NONE)
    assert check_sft(source, tokenizer=str(tmp_path), on_fault=faults.append).rejected == 3
    assert all("neither the chat template nor the completion" in fault.reason for fault in faults)
    (tmp_path / "chat_template.jinja").write_text(chat_templates.FAILS)
    with pytest.raises(ModelError, match="the chat template fails"):
        check_sft(source, tokenizer=str(tmp_path))
