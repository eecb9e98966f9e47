"""The tasks that have a name. To add one, write a class like that of `tasks.aime24` and a line here."""

from ..plugins import Registry
from .aime24 import Aime24
from .aime25 import Aime25
from .base import Task
from .math500 import Math500
from .mini import Mini

TASKS: Registry[type[Task]] = Registry(
    "task",
    "srx.tasks",
    {
        "mini": Mini,
        "aime24": Aime24,
        "aime25": Aime25,
        "math500": Math500,
    },
    Task,
)


def task_of(name: str) -> Task:
    """The task of that name; of a file or dataset, what holds for all of them. Raises MachineError."""
    return TASKS[name]() if name in TASKS else Task()
