"""The 30 problems of AIME 2025."""

from typing import ClassVar

from .base import Task


class Aime25(Task):
    """Answers are integers 0..999."""

    address: ClassVar[str] = "hf://math-ai/aime25?split=test&revision=563bb8404243c5f09de6ec262f2db674fe5bce9b"
