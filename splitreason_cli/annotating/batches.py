"""Questions and answers as files of OpenAI's batch API, which vLLM's `run-batch` and others read and write too."""

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ..errors import InputError
from ..models.answers import ReadAnswer, read_answer, text_of
from ..records.record import JsonObject
from ..store.jsonl import read_lines, write_atomically

MOST_REQUESTS = 50_000
MOST_BYTES = 200 * 10**6
"""What OpenAI takes in one file."""


ASK = "Ask with --base-url, or by another --batch-out"
_FEW = 5
_OPENING = b'{"custom_id":'
"""What a file of ours begins with."""


class BatchLine(msgspec.Struct):
    """One answer of a batch's output or error file."""

    custom_id: str
    id: object = None
    response: object = None
    error: object = None


@dataclass(frozen=True)
class BatchReply:
    """What a batch says of one question: an answer, or why there is none.

    Args:
        status: the HTTP status of the call, None if it was not made.
        source: what the answer is known by if it is read again.
    """

    answer: ReadAnswer | None
    error: str
    status: int | None
    source: str


def custom_id(question: str, key: str, attempt: int) -> str:
    """The name of a question about a trace: the same for the same attempt, at most 64 characters."""
    return f"{question}-{key}-{attempt}"


def request_line(name: str, body: JsonObject) -> bytes:
    """One line of a batch's input."""
    request = {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body}
    return msgspec.json.encode(request) + b"\n"


def write_requests(out: Path, lines: Iterable[bytes]) -> list[Path]:
    """Write a batch's input, in as many files as its limits ask for: NAME.jsonl, NAME-2.jsonl, ...; returns them.

    Those that follow, of an earlier batch, are removed, so that nobody pays for them again. Raises MachineError if the
    files cannot be written.
    """
    files: list[Path] = []
    rest: Iterator[bytes] = iter(lines)
    following = next(rest, None)
    while following is not None or not files:
        path = _numbered(out, len(files) + 1)
        held: list[bytes | None] = [following]

        def one_file(held: list[bytes | None] = held) -> Iterator[bytes]:
            count = size = 0
            while (line := held[0]) is not None:
                if count and (count == MOST_REQUESTS or size + len(line) > MOST_BYTES):
                    return
                count, size = count + 1, size + len(line)
                yield line
                held[0] = next(rest, None)

        write_atomically(path, one_file())
        following = held[0]
        files.append(path)
    number = len(files) + 1
    while _holds_requests(stale := _numbered(out, number)):
        stale.unlink()
        number += 1
    return files


def _numbered(out: Path, number: int) -> Path:
    return out if number == 1 else out.with_name(f"{out.stem}-{number}{out.suffix}")


def _holds_requests(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(len(_OPENING)) == _OPENING
    except OSError:
        return False


class BatchReplies:
    """The answers to one set of questions in a batch's output and error files; in memory only where each one lies.

    Args:
        paths: JSONL, gzip or zstd by suffix; - is standard input.
        question: what the names of the questions begin with.

    Attributes:
        missing: what to say of a trace without an answer.
    """

    def __init__(self, paths: Sequence[str], question: str) -> None:
        self._paths, self._question = paths, question
        self._places: dict[str, list[int]] = {}
        self._unseen: set[str] = set()
        self._missed: list[str] = []
        self._odd: Counter[str] = Counter()
        self._spool = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as this object
        self.missing = f"no reply to this trace in {', '.join(paths)}. {ASK}"

    def load(self) -> None:
        """Read the files. Raises InputError if one is missing or holds nothing of a batch."""
        for path in self._paths:
            known = sum(map(len, self._places.values())) + self._odd.total()
            unreadable = self._odd["unreadable"]
            for line in read_lines(Path(path)):
                self._add(line.data)
            if sum(map(len, self._places.values())) + self._odd.total() - known == self._odd["unreadable"] - unreadable:
                raise InputError(f"{path}: no replies of a batch", "Give the output file of the batch API")
        self._unseen = set(self._places)

    def _add(self, data: bytes) -> None:
        try:
            line = msgspec.json.decode(data, type=BatchLine)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._odd["unreadable"] += 1
            return
        question, _, rest = line.custom_id.partition("-")
        if question != self._question:
            self._odd["of another question"] += 1
            return
        self._places.setdefault(rest.partition("-")[0], []).append(self._spool.seek(0, 2))
        self._spool.write(data.rstrip(b"\n") + b"\n")

    def seen(self, key: str) -> None:
        """Note that a trace is among those that are annotated."""
        self._unseen.discard(key)

    def miss(self, identifier: str) -> None:
        """Note the id of a trace that nothing is said of."""
        self._missed.append(identifier)

    def of(self, key: str) -> Iterator[BatchReply]:
        """What the files say of a trace, in their order."""
        for place in self._places.get(key, ()):
            self._spool.seek(place)
            yield _read(msgspec.json.decode(self._spool.readline(), type=BatchLine))

    def notes(self) -> Iterator[str]:
        """What people should know of answers that were not used."""
        where = ", ".join(self._paths)
        if self._odd["unreadable"]:
            yield f"{where}: {self._odd['unreadable']:,} lines are no replies of a batch"
        if self._odd["of another question"]:
            hint = "They answer no question of this --model and --fraction"
            yield f"{where}: {self._odd['of another question']:,} replies have an unknown custom_id. {hint}"
        if self._missed:
            few = ", ".join(self._missed[:_FEW]) + (", ..." if len(self._missed) > _FEW else "")
            yield f"{where}: no reply to {len(self._missed):,} traces ({few}). {ASK}"
        if self._unseen:
            yield f"{where}: {len(self._unseen):,} replies are about traces that are not in this input"


def _read(line: BatchLine) -> BatchReply:
    response = line.response if isinstance(line.response, dict) else {}
    body, status = response.get("body"), response.get("status_code")
    status = status if isinstance(status, int) else None
    source = f"{line.custom_id}:{body.get('id') if isinstance(body, dict) else line.id}"
    try:
        if isinstance(body, dict) and not body.get("error"):
            return BatchReply(read_answer(body).read(), "", status, source)
        error = _said(line.error) or _said(body) or "neither an answer nor an error"
    except ValueError as fault:
        error = f"unreadable answer ({fault})"
    return BatchReply(None, text_of(f"HTTP {status}: {error}" if status else error), status, source)


def _said(error: object) -> str:
    while isinstance(error, dict):
        error = error.get("error") or error.get("message") or str(error)
    return " ".join(str(error or "").split())[:300]
