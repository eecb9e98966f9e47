"""Every error that srx raises on purpose, and its exit code.

    SrxError            1    something the user can act on; the base of all others
      UsageError        2    a flag or argument has a value that srx does not take
      InputError        3    a file or record cannot be read or does not fit its kind
        RecordError     3    one record, at `file:line`
      PartialError      4    the work was done, but some records were quarantined
      MachineError      5    the disk, the store or the machine refused
      ModelError        6    a model folder or name cannot be loaded
      EndpointError     7    a model server refuses every call, or does not answer

Ctrl-C exits with 130. A bug keeps its traceback and exits with 1.
"""

from typing import ClassVar


class SrxError(Exception):
    """A failure the user can act on.

    Args:
        message: what is wrong, in one line without a final full stop.
        hint: what to do about it, in one line.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}. {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[object, ...]:
        # The processes of a training run send each other their errors, whatever arguments those were made with.
        return _revived, (type(self), self.args, self.__dict__)


def _revived(kind: type[SrxError], args: tuple[object, ...], fields: dict[str, object]) -> SrxError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(fields)
    return error


class UsageError(SrxError):
    exit_code = 2


class InputError(SrxError):
    exit_code = 3


class RecordError(InputError):
    """One bad record. `where` is `file:line`; the same record may be quarantined instead of raised."""

    def __init__(self, where: str, message: str, hint: str = "") -> None:
        super().__init__(f"{where}: {message}", hint)
        self.where = where
        self.reason = f"{message}. {hint}" if hint else message


class PartialError(SrxError):
    exit_code = 4


class MachineError(SrxError):
    exit_code = 5


class ModelError(SrxError):
    exit_code = 6


class EndpointError(SrxError):
    exit_code = 7
