"""Where the models of a benchmark run, and what identifies them."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..decoding.lockstep import LockstepDecoder
from ..models.loading import default_device, load_pair, model_digest
from ..models.pair import Pair
from ..models.sides import Side, served_as, start_pair
from ..models.vllm_server import engine_versions, interpreter
from ..records.data import Author
from ..store.digests import versions
from .drivers import BatchDriver, Driver, DriverConfig, ServerDriver

BenchRuntime = Literal["in-process", "vllm"]


@dataclass(frozen=True)
class Backends:
    """Both sides, and where those run that are no URLs.

    Args:
        concurrency: samples in flight on servers; `batch_size` of them are decoded together in this process.
        log_folder: where vLLM servers that are started write.
    """

    small: Side
    big: Side
    runtime: BenchRuntime = "in-process"
    concurrency: int = 16
    batch_size: int = 128
    log_folder: Path = Path("srx-bench-logs")

    @property
    def on_servers(self) -> bool:
        return self.runtime == "vllm" or bool(self.small.urls or self.big.urls)

    def libraries(self, authors: Sequence[Author]) -> dict[str, str | None]:
        """Versions of what computes generations of these models: prompts always here, a URL's tokens elsewhere.

        What a server at a URL runs on is not known. Raises MachineError.
        """
        found = versions(("jinja2", "tokenizers", "transformers"))
        if all(side.urls for side in self._sides(authors).values()):
            return found
        return {**found, **(engine_versions(interpreter()) if self.runtime == "vllm" else versions(("torch",)))}

    def _sides(self, authors: Sequence[Author]) -> dict[Author, Side]:
        both: dict[Author, Side] = {"small": self.small, "big": self.big}
        return {author: both[author] for author in authors}

    def identities(self, authors: Sequence[Author]) -> dict[str, str]:
        """What results of these models depend on: digests of folders, names of what URLs serve wherever they are.

        Raises ModelError, EndpointError.
        """
        found: dict[str, str] = {author: self._identity(side) for author, side in self._sides(authors).items()}
        return {**found, "driver": "servers" if self.on_servers else f"in process, {self.batch_size}"}

    def _identity(self, side: Side) -> str:
        """A digest of a model's folder, or what its URLs say of it, and how it is served."""
        what = f"served: {served_as(side)}" if side.urls else model_digest(side.model)
        settings = [f"protocol {side.protocol}"] if side.protocol != "tokens" else []
        settings += [f"tokenizer {side.tokenizer}"] if side.tokenizer else []
        settings += side.vllm_args if self.runtime == "vllm" and not side.urls else ()
        return " ".join([what, *settings])

    def open(
        self,
        authors: Sequence[Author],
        config: DriverConfig,
        *,
        needs_tags: bool,
        stack: ExitStack,
        on_status: Callable[[str], None] = lambda status: None,
    ) -> Driver:
        """The driver; what it starts ends with `stack`. A single author stands on both sides.

        Raises ModelError, also if tags are needed and the small model has none. For further errors see `start_pair`.
        """
        driver: Driver
        first, last = (self.small if author == "small" else self.big for author in (authors[0], authors[-1]))
        if self.on_servers:
            small, big = start_pair(
                first, last, stack, runtime=self.runtime, log_folder=self.log_folder, on_status=on_status
            )
            driver = server = ServerDriver(small, big, config, concurrency=self.concurrency)
            stack.callback(server.close)
            server.check()
        else:
            pair = load_pair(first.model, last.model, default_device(), one_vocabulary=False)
            decoder = LockstepDecoder(Pair.of(*pair, hint=config.hint), config.limits, config.sampling)
            driver = BatchDriver(decoder, self.batch_size)
        if needs_tags:
            driver.models["small"].tag_ids()
        return driver
