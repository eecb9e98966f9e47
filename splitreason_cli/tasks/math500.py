"""500 problems of MATH, as Lightman et al. (2023, arXiv:2305.20050) held them out."""

from typing import ClassVar

from .base import Task


class Math500(Task):
    """Answers are mathematical expressions."""

    address: ClassVar[str] = "hf://HuggingFaceH4/MATH-500?split=test&revision=6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be"
