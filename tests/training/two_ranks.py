"""What each of two processes does for test_ranks.py, which reads what they wrote: `python -m ... FOLDER`."""

import contextlib
import json
import sys
from pathlib import Path

from splitreason_cli.errors import MachineError, RecordError, SrxError
from splitreason_cli.models.loading import load_model
from splitreason_cli.store.artifacts import Recipe, Store
from splitreason_cli.training import ranks
from splitreason_cli.training.sharded import refresh
from tests.older_code import NO_CODE


def message(act):
    """What it raised, by class and words."""
    try:
        act()
    except SrxError as error:
        return [type(error).__name__, str(error)]
    return None


def fail_on_rank_1():
    with ranks.together():
        if ranks.rank() == 1:
            raise RecordError("x.jsonl:3", "field 'id' is missing", "Add it")


def fail_on_main():
    def make():
        raise MachineError("disk full", "Free some")

    ranks.from_main(make)


def work_where_rank_1_has_another_disk(folder):
    """Both nodes have a folder of that name."""
    ranks.VISIBLE_AFTER_SECONDS = 0.1
    recipe = Recipe("train_sft", {}, {}, NO_CODE)
    disk = folder / f"node-{ranks.rank()}"
    (disk / "store" / "work" / recipe.work_key).mkdir(parents=True)
    with contextlib.chdir(disk), ranks.work(Store(Path("store")), recipe):
        pass


def forwards_of_a_sharded_model():
    """Whether a whole copy of a sharded model, forwarded more often on one rank than on the other, gives its logits."""
    import torch
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    model, whole = (load_model("mini-split").model for _ in range(2))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)
        ids = torch.arange(12)[None]
        expected = model(ids).logits
        for block in (*model.model.layers, model):
            fully_shard(block, mesh=init_device_mesh("cpu", (2,)))
        refresh(whole, model)
        for _ in range(1 + 4 * ranks.rank()):
            found = whole(ids).logits
    return {"sharded": type(next(model.parameters())).__name__, "equal": torch.equal(expected, found)}


def main(folder):
    ranks.join("cpu")
    found = {
        "gathered": ranks.gather([f"{ranks.rank()}a", f"{ranks.rank()}b"]),
        "from_main": ranks.from_main(lambda: f"made by {ranks.rank()}"),
        "together": message(fail_on_rank_1),
        "main_fails": message(fail_on_main),
        "differs": message(lambda: ranks.require_same("--in", f"digest {ranks.rank()}")),
        "same": message(lambda: ranks.require_same("--in", "digest")),
        "stdin": message(lambda: ranks.require_file("-")),
        "batch": ranks.share_batch(24, 5, "--batch-size"),
        "odd": message(lambda: ranks.share_batch(7, 5, "--batch-size")),
        "disks": message(lambda: work_where_rank_1_has_another_disk(folder)),
        "forwards": forwards_of_a_sharded_model(),
    }
    (folder / f"rank-{ranks.rank()}.json").write_text(json.dumps(found))
    ranks.leave()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
