"""A model that remembers what its conversations have read: each token is forwarded once."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import ModelError
from .loading import LoadedModel

if TYPE_CHECKING:
    from torch import Tensor

MOST_IDLE = 0.5
"""Up to this share of rows waits in a pass over all of them: picking the others would copy all that they have read."""


class CachedModel:
    """A model that remembers, for each of `rows` conversations, the tokens it has read.

    Attributes:
        forwarded_tokens: how many tokens went through the model so far, padding not counted.
    """

    def __init__(self, loaded: LoadedModel, rows: int) -> None:
        from .kv_rows import KeyValueRows

        config = loaded.model.config
        if any(kind != "full_attention" for kind in getattr(config, "layer_types", None) or []):
            raise ModelError(f"{loaded.name}: only full attention is supported in process", "Serve it with vLLM")
        self.model = loaded.model
        self.cache = KeyValueRows(rows, config.num_hidden_layers)
        self.read: list[list[int]] = [[] for _ in range(rows)]
        self.forwarded_tokens = 0
        self._logits: dict[int, Tensor] = {}

    def next_logits(
        self, rows: Sequence[int], contexts: Sequence[Sequence[int]], after: Sequence[int] | None = None
    ) -> "Tensor":
        """Read what each context has beyond what it shares with the last call's, and return the logits after its end.

        Args:
            rows: the conversations, each at most once.
            contexts: their token ids.
            after: how many tokens each conversation has kept of those that it has read; its ids are those behind them.
                All ids are given, and compared with what was read, if None.

        Returns:
            float32 tensor [len(rows), vocabulary].
        """
        import torch

        places = after if after is not None else [0] * len(rows)
        behind = [(row, self._unread(row, ids, at)) for row, ids, at in zip(rows, contexts, places, strict=True)]
        # Rows that read one token and rows that read a whole prompt go separately: together all would be padded.
        short = [(row, ids) for row, ids in behind if len(ids) == 1]
        long = [(row, ids) for row, ids in behind if len(ids) > 1]
        if len(short) >= MOST_IDLE * len(self.cache.kept):
            written = dict(short)
            short = [(row, written.get(row, ())) for row in self.cache.kept]
        for group in (short, long):
            if group:
                self._forward(group)
        return torch.stack([self._logits[row] for row in rows])

    def keep(self, rows: Sequence[int]) -> None:
        """Free what all other conversations hold; they have ended. `rows` are ascending."""
        self.cache.keep(rows)

    def _unread(self, row: int, ids: Sequence[int], after: int) -> Sequence[int]:
        """The end of a context that its row has not read, after the row forgot what is no longer in it."""
        read = self.read[row]
        if after > len(read):
            raise ValueError(f"row {row} has read {len(read)} tokens, not {after}")
        beyond = read[after:]
        if ids[: len(beyond)] == beyond:
            return ids[len(beyond) :]
        shorter = min(len(ids), len(beyond))
        same = next((n for n in range(shorter) if ids[n] != beyond[n]), shorter)
        # The logits of an earlier token are gone, so the last one is read again if nothing follows it.
        unread = ids[same:] or read[after + same - 1 : after + same]
        del read[after + len(ids) - len(unread) :]
        return unread

    def _forward(self, group: list[tuple[int, Sequence[int]]]) -> None:
        import torch

        device = self.model.device
        width = max(len(ids) for _, ids in group)
        # Padding stands on the left, so that the last column is every row's newest token.
        tokens = torch.tensor([[0] * (width - len(ids)) + list(ids) for _, ids in group], device=device)
        first = torch.tensor([len(self.read[row]) - (width - len(ids)) for row, ids in group], device=device)
        pad = torch.tensor([width - len(ids) for _, ids in group], device=device)
        columns = torch.arange(width, device=device)
        positions = (first[:, None] + columns).clamp(min=0)
        is_padding = columns < pad[:, None]
        seen = self.cache.prepare(torch.tensor([row for row, _ in group], device=device), positions, is_padding)
        # Additive, because eager attention adds its mask where fused attention would also take a boolean one.
        mask = torch.zeros(seen.shape, dtype=self.model.dtype, device=device)
        mask.masked_fill_(~seen, torch.finfo(mask.dtype).min)
        with torch.inference_mode():
            logits = (
                self.model(
                    input_ids=tokens,
                    attention_mask=mask,
                    position_ids=positions.masked_fill(is_padding, 0),
                    past_key_values=self.cache,
                    use_cache=True,
                    logits_to_keep=1,
                )
                .logits[:, -1]
                .float()
            )
        for (row, ids), row_logits in zip(group, logits, strict=True):
            if not ids:
                continue
            self._logits[row] = row_logits
            self.read[row] += ids
            self.forwarded_tokens += len(ids)
