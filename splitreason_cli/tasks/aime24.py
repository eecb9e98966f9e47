"""The 30 problems of AIME 2024."""

from typing import ClassVar

from .base import Task


class Aime24(Task):
    """Answers are integers 0..999."""

    address: ClassVar[str] = (
        "hf://HuggingFaceH4/aime_2024?split=train&revision=2fe88a2f1091d5048c0f36abc874fb997b3dd99a"
    )
