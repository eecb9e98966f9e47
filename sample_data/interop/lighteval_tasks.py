"""Tasks `srx_mini` and `srx_mini_avg4` for lighteval: the problems of `mini` as they are, the answer in a box."""

from pathlib import Path

from lighteval.metrics.metrics import Metrics
from lighteval.tasks.lighteval_task import LightevalTaskConfig
from lighteval.tasks.requests import Doc


def prompt(row, task_name=None):
    """The problem alone, as `srx bench` asks it. `specific` carries the id into the details."""
    specific = {"id": str(row["id"])} if "id" in row else None
    return Doc(task_name=task_name, query=row["problem"], choices=[str(row["answer"])], gold_index=0, specific=specific)


def task(name, samples):
    """A task that takes so many samples a problem, which more than one needs a temperature for."""
    return LightevalTaskConfig(
        name=name,
        prompt_function=prompt,
        # The front matter of the README beside this file says where the problems are.
        hf_repo=str(Path(__file__).parent),
        hf_subset="mini",
        hf_avail_splits=["test"],
        evaluation_splits=["test"],
        metrics=[Metrics.avg_at_n_math(sample_params={"n": samples})],
    )


TASKS_TABLE = [task("srx_mini", 1), task("srx_mini_avg4", 4)]
