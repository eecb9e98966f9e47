"""The processes of one training run under `accelerate launch`: who leads, and how all of them agree.

Without a launcher there is one process, rank 0, and nothing here does anything. Rank 0 alone writes to the store and
speaks to people. Whatever can fail on one rank only is done inside `together`, so that no rank waits for a dead one.
"""

import contextlib
import gc
import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from ..errors import InputError, MachineError, SrxError, UsageError
from ..store.artifacts import Recipe, Store

T = TypeVar("T")

TIMEOUT = timedelta(hours=2)
"""How long a rank waits for another. A dead one is noticed by the launcher; this only bounds uneven rollouts."""

VISIBLE_AFTER_SECONDS = 30.0
"""How long a network file system may take to show one node's file to another."""


def world_size() -> int:
    """The number of processes, over all nodes."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "LOCAL_RANK" in os.environ else 1


def rank() -> int:
    """This process's number, 0 .. world_size() - 1."""
    return int(os.environ.get("RANK", "0")) if world_size() > 1 else 0


def is_main() -> bool:
    return rank() == 0


def launched_alone() -> bool:
    """Whether `accelerate launch --cpu` was asked for several processes and, having no MPI, started only this one."""
    asked = os.environ.get("ACCELERATE_USE_CPU", "").lower() == "true" and "MASTER_PORT" in os.environ
    return asked and not any(name in os.environ for name in ("LOCAL_RANK", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE"))


def join(device: str) -> None:
    """Meet the other processes, on GPUs of their own or on CPUs. `device` is `cuda` or `cpu`."""
    if world_size() > 1:
        from accelerate import PartialState

        # Else transformers loads empty weights on all ranks but the first, and nobody would ever fill the big model's.
        os.environ["FSDP_CPU_RAM_EFFICIENT_LOADING"] = "false"
        if device == "cpu":
            # Accelerate would call it `cpu:0`, and torch cannot load a checkpoint's optimizer to a device of that name.
            os.environ.setdefault("ACCELERATE_TORCH_DEVICE", "cpu")
        PartialState(cpu=device == "cpu", timeout=TIMEOUT)


def leave() -> None:
    """Part from the other processes at the end of a run."""
    if world_size() > 1:
        import torch.distributed

        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
            # Cycles of the trainer hold the group too. If they lived on, its threads could abort the exiting process.
            gc.collect()


def gather(values: Sequence[T]) -> list[T]:
    """The values of all ranks, in the order of ranks, on every rank."""
    if world_size() == 1:
        return list(values)
    import torch.distributed

    everyone: list[list[T]] = [[] for _ in range(world_size())]
    torch.distributed.all_gather_object(everyone, list(values))
    return [value for one in everyone for value in one]


def barrier() -> None:
    """Wait for all ranks."""
    gather([None])


@contextlib.contextmanager
def together() -> Iterator[None]:
    """All ranks leave the block, or all raise the SrxError that the first failing one met in it."""
    error = None
    try:
        yield
    except SrxError as caught:
        error = caught
    if first := next(filter(None, gather([error])), None):
        raise first


def from_main(make: Callable[[], T]) -> T:
    """What `make` returns on rank 0, on every rank. Raises everywhere what it raises, if that is a SrxError."""
    made: list[T] = []
    with together():
        if is_main():
            made = [make()]
    return gather(made)[0]


@contextlib.contextmanager
def main_first() -> Iterator[None]:
    """Rank 0 goes through the block before the others, which then find what it cached."""
    if not is_main():
        barrier()
    yield
    if is_main():
        barrier()


def require_same(what: str, value: str) -> None:
    """Raises InputError if this value is not the same on all ranks."""
    if len(set(gather([value]))) > 1:
        raise InputError(f"{what} is not the same on all ranks", "Give every node the same files")


def require_file(name: str) -> None:
    """Raises UsageError if several processes were to read standard input."""
    if name == "-" and world_size() > 1:
        raise UsageError(f"{world_size()} processes cannot share standard input", "Give a file with --in")


@contextlib.contextmanager
def work(store: Store, recipe: Recipe) -> Iterator[Path]:
    """`store.work`, locked by rank 0 for all ranks. Raises MachineError if a rank does not see rank 0's folder."""
    with contextlib.ExitStack() as stack:
        path = from_main(lambda: stack.enter_context(store.work(recipe)))
        _require_shared(path)
        yield path


def _require_shared(path: Path) -> None:
    """Two nodes may both have a folder of this name, so ask for a file that has just been made in it."""
    if world_size() == 1:
        return
    mark = path / from_main(lambda: f"seen-{uuid.uuid4().hex}")
    if is_main():
        mark.touch()
    with together():
        deadline = time.monotonic() + VISIBLE_AFTER_SECONDS
        while not mark.exists():
            if time.monotonic() > deadline:
                raise MachineError(f"rank {rank()} does not see {path}", "Point SRX_HOME at a folder all nodes share")
            time.sleep(0.2)
    if is_main():
        mark.unlink()


def share_batch(rows: int, at_most: int, flags: str) -> tuple[int, int]:
    """How many rows a device takes at a time and how often, so that one optimizer step takes exactly `rows`.

    Raises UsageError, naming the `flags` that `rows` comes from, if the processes cannot share them equally.
    """
    mine, left = divmod(rows, world_size())
    if left or not mine:
        hint = f"Make {flags} a multiple of the number of processes"
        raise UsageError(f"{rows} rows a step cannot be shared equally by {world_size()} processes", hint)
    at_a_time = max(count for count in range(1, min(mine, at_most) + 1) if mine % count == 0)
    return at_a_time, mine // at_a_time
