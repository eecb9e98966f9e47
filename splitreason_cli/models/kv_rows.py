"""A key-value cache whose rows have their own lengths."""

import weakref
from collections.abc import Sequence

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin

_GROWTH = 128


class KeyValueRows(Cache):  # type: ignore[misc]
    """Keys and values of `rows` conversations for `layers` layers of full attention.

    A forward pass may touch any subset of rows and add a different number of tokens to each. Call `prepare` before
    it; the pass then writes token t of row r at that row's own position and attends to that row alone.

    The last column is scratch: padding is written there and never attended to by real tokens.

    Attributes:
        kept: the conversations that are not freed, ascending.
    """

    def __init__(self, rows: int, layers: int) -> None:
        super().__init__(layers=[_Layer(self, rows) for _ in range(layers)])
        self.capacity = _GROWTH
        self.rows = torch.empty(0, dtype=torch.long)
        self.columns = torch.empty(0, dtype=torch.long)
        self.width = 0
        self.all_rows = False
        self.kept = list(range(rows))
        self._slots = torch.arange(rows)

    def prepare(self, rows: Tensor, positions: Tensor, is_padding: Tensor) -> Tensor:
        """Aim the next forward pass.

        Args:
            rows: [n] conversations that are kept, each at most once, ascending.
            positions: [n, t] each token's place in its conversation; ignored where padding.
            is_padding: [n, t] bool.

        Returns:
            Attention mask [n, 1, t, width], True where a token may look.
        """
        self.width = int(positions.max()) + 1
        while self.width >= self.capacity:
            self.capacity += _GROWTH
        self._slots = self._slots.to(rows.device)
        self.rows = self._slots[rows]
        self.all_rows = len(rows) == len(self.kept)
        self.columns = positions.masked_fill(is_padding, self.capacity - 1)
        last = positions.masked_fill(is_padding, 0)
        return (torch.arange(self.width, device=rows.device) <= last[:, :, None])[:, None]

    def keep(self, rows: Sequence[int]) -> None:
        """Free what all other conversations hold. `rows` are among those kept so far, ascending.

        A pass over all that are kept needs no copy of them, so what has ended should go at once.
        """
        if len(rows) == len(self.kept):
            return
        places = torch.tensor(rows, dtype=torch.long, device=self._slots.device)
        for layer in self.layers:
            layer.keep(self._slots[places])
        self.kept = list(rows)
        self._slots[places] = torch.arange(len(rows), device=places.device)


class _Layer(CacheLayerMixin):  # type: ignore[misc]
    def __init__(self, owner: KeyValueRows, rows: int) -> None:
        super().__init__()
        # In a cycle of references the tensors would stay until the garbage collector comes by.
        self.owner: KeyValueRows = weakref.proxy(owner)  # type: ignore[assignment]
        self.count = rows

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        _, heads, _, size = key_states.shape
        shape = (self.count, heads, self.owner.capacity, size)
        self.keys = key_states.new_zeros(shape)
        self.values = value_states.new_zeros((*shape[:3], value_states.shape[-1]))
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *_args: object, **_kwargs: object
    ) -> tuple[Tensor, Tensor]:
        """Store [n, heads, t, size] at the prepared places; return everything the prepared rows hold."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        owner = self.owner
        grown = owner.capacity - self.keys.shape[2]
        if grown:
            self.keys = torch.nn.functional.pad(self.keys, (0, 0, 0, grown))
            self.values = torch.nn.functional.pad(self.values, (0, 0, 0, grown))
        self.keys[owner.rows[:, None], :, owner.columns] = key_states.transpose(1, 2)
        self.values[owner.rows[:, None], :, owner.columns] = value_states.transpose(1, 2)
        if owner.all_rows:
            return self.keys[:, :, : owner.width], self.values[:, :, : owner.width]
        return self.keys[owner.rows, :, : owner.width], self.values[owner.rows, :, : owner.width]

    def keep(self, slots: Tensor) -> None:
        self.count = len(slots)
        if self.is_initialized:
            self.keys, self.values = self.keys[slots], self.values[slots]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.owner.width, 0

    def get_seq_length(self) -> int:
        return self.owner.width

    def get_max_length(self) -> int:
        return -1
