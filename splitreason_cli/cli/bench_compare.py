"""srx bench compare"""

from typing import Annotated

import typer

from ..store.artifacts import Store
from .bench_outputs import Outputs

Run = Annotated[
    str,
    typer.Argument(
        show_default=False,
        help="A file of --generations or --out, or a store key; FILE:split@5% picks one of its systems.",
    ),
]


def compare(
    a: Run,
    b: Run,
    out: Annotated[
        str | None, typer.Option("--out", help="JSONL of bench_comparison records; - is standard output.")
    ] = None,
) -> None:
    """Compare two runs that are there already, problem by problem.

    Printed are the difference in accuracy, its 95 % interval, and the p-value of a sign-flip test.
    """
    from ..measuring.compare import bench_compare

    outputs = Outputs(out)
    compared = bench_compare(a, b, Store.default())
    found = [comparison for comparison, _ in compared]
    outputs.write_files([], found)
    outputs.show_comparisons(compared)
    outputs.emit([], found)
