import copy
import json
import pickle
import subprocess
import sys

import pytest

from splitreason_cli.errors import InputError, RecordError, UsageError
from splitreason_cli.training import ranks


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What two processes that met over gloo wrote down, by rank."""
    folder = tmp_path_factory.mktemp("ranks")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run([*command, "-m", "tests.training.two_ranks", str(folder)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads((folder / f"rank-{number}.json").read_bytes()) for number in range(2)]


def test_all_ranks_have_what_one_has(found):
    for one in found:
        assert one["gathered"] == ["0a", "0b", "1a", "1b"]
        assert one["from_main"] == "made by 0"
        assert one["same"] is None


def test_an_error_of_one_rank_is_raised_on_all(found):
    for one in found:
        assert one["together"] == ["RecordError", "x.jsonl:3: field 'id' is missing. Add it"]
        assert one["main_fails"] == ["MachineError", "disk full. Free some"]
        assert one["differs"] == ["InputError", "--in is not the same on all ranks. Give every node the same files"]


def test_nodes_must_share_the_store(found):
    for one in found:
        kind, text = one["disks"]
        assert kind == "MachineError"
        assert text.startswith("rank 1 does not see store")
        assert text.endswith("Point SRX_HOME at a folder all nodes share")


def test_several_processes_do_not_read_standard_input(found):
    for one in found:
        assert one["stdin"] == ["UsageError", "2 processes cannot share standard input. Give a file with --in"]


def test_a_step_takes_exactly_its_batch_or_none(found):
    for one in found:
        assert one["batch"] == [4, 3], "24 rows on 2 processes, at most 5 at a time"
        assert one["odd"][0] == "UsageError"


def test_forwards_of_a_sharded_policy_concern_no_other_rank(found):
    for one in found:
        assert one["forwards"] == {"sharded": "DTensor", "equal": True}


@pytest.mark.parametrize(
    ("rows", "at_most", "shared"), [(64, 1, (1, 64)), (112, 16, (16, 7)), (10, 4, (2, 5)), (3, 9, (3, 1))]
)
def test_one_process_takes_the_largest_part_that_divides_the_batch(rows, at_most, shared):
    assert ranks.share_batch(rows, at_most, "--batch-size") == shared


@pytest.mark.parametrize("error", [RecordError("x.jsonl:3", "bad", "hint"), InputError("a", "b"), UsageError("a")])
def test_errors_travel_between_processes(error):
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (type(other), str(other), vars(other)) == (type(error), str(error), vars(error))
