"""TRL's GRPOTrainer with the one change that split reasoning needs: what a position's log-probability is of.

Pinned to TRL 1.16: `_get_per_token_logps_and_entropies` gives the policy's, the old and the reference log-probabilities
alike, so that overriding it changes all three.
"""

from typing import TYPE_CHECKING

from trl import GRPOTrainer

from ..models.protocols import CausalLM
from ..split.decisions import CERTAIN

if TYPE_CHECKING:
    from torch import Tensor


class DecisionTrainer(GRPOTrainer):  # type: ignore[misc]
    """Scores the small model's decisions (see `split.decisions`) instead of every token of a completion.

    Args:
        open_id, close_id: the tags' token ids.
    """

    def __init__(self, open_id: int, close_id: int, **kwargs: object) -> None:
        self.open_id, self.close_id = open_id, close_id
        super().__init__(**kwargs)

    def _get_per_token_logps_and_entropies(
        self,
        model: CausalLM,
        input_ids: "Tensor",
        attention_mask: "Tensor",
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        compute_aux_loss: bool = False,
        **_: object,
    ) -> "tuple[Tensor, Tensor | None, None]":
        import torch

        size = batch_size or len(input_ids)
        logps, entropies = [], []
        for start in range(0, len(input_ids), size):
            rows = slice(start, start + size)
            with self.accelerator.autocast():
                logits = model(
                    input_ids=input_ids[rows],
                    attention_mask=attention_mask[rows],
                    use_cache=False,
                    logits_to_keep=logits_to_keep + 1,
                ).logits[:, :-1]
            completion = input_ids[rows, -logits_to_keep:]
            scores = decision_logprobs(logits.float() / self.temperature, completion, self.open_id, self.close_id)
            logps.append(scores)
            if compute_entropy:
                with torch.no_grad():
                    log_softmax = logits.float().log_softmax(-1)
                    entropies.append(-(log_softmax.exp() * log_softmax).sum(-1))
        return torch.cat(logps), torch.cat(entropies) if compute_entropy else None, None


def decision_logprobs(logits: "Tensor", completion: "Tensor", open_id: int, close_id: int) -> "Tensor":
    """The log-probability of what the small model decided at each position.

    Args:
        logits: float [rows, positions, vocabulary], those that each token was chosen from, at the sampling temperature.
        completion: token ids [rows, positions].

    Returns:
        float [rows, positions]. Outside spans that of the token among all but the closing tag; inside, that of closing
        or of going on. At the first token of a span, where nothing was decided, it means nothing and is to be masked.
    """
    import torch

    is_open, is_close = completion == open_id, completion == close_id
    depth = (is_open.int() - is_close.int()).cumsum(-1)
    in_span = (depth - is_open.int() + is_close.int()) > 0
    close = logits[..., close_id]
    everything = logits.logsumexp(-1)
    closing = (close - everything).clamp(max=CERTAIN)
    going_on = torch.log(-torch.expm1(closing))
    # The sum over all tokens but the closing tag.
    others = everything + going_on
    word = logits.gather(-1, completion[..., None]).squeeze(-1) - others
    return torch.where(in_span, torch.where(is_close, closing, going_on), word)
