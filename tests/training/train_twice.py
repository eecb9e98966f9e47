"""What each process of test_ranks.py does: GRPO in one go and stopped and resumed, `python -m ... FOLDER`."""

import contextlib
import sys
from pathlib import Path

from splitreason_cli.store.artifacts import Store
from splitreason_cli.store.source import Source
from splitreason_cli.training import ranks
from splitreason_cli.training.grpo import train_grpo
from splitreason_cli.training.grpo_run import GrpoWatcher
from tests.training.test_grpo import SHORT


def stop(report):
    if report.step == 3:
        raise KeyboardInterrupt


def main(folder):
    source = Source.open(str(folder / "problems.jsonl"), Store(folder / "whole"))
    whole, _ = train_grpo(source, SHORT, Store(folder / "whole"))
    with contextlib.suppress(KeyboardInterrupt):
        train_grpo(source, SHORT, Store(folder / "resumed"), watcher=GrpoWatcher(stop))
    seen = []
    watcher = GrpoWatcher(lambda report: seen.append(report.step))
    resumed, _ = train_grpo(source, SHORT, Store(folder / "resumed"), watcher=watcher)
    assert seen == [3, 4]
    assert train_grpo(source, SHORT, Store(folder / "resumed")) == (resumed, True)
    (folder / f"rank-{ranks.rank()}").write_text(f"{whole.path}\n{resumed.path}")
    ranks.leave()
    threads = [path.read_text() for path in Path("/proc/self/task").glob("*/comm")]
    assert not [name for name in threads if "gloo" in name]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
