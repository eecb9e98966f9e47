"""The price of the big model's help in right answers, and how it follows a budget."""

from dataclasses import dataclass

PROPORTIONAL = 20


@dataclass
class Price:
    """What offloading everything costs, in right answers, steered so that the mean share lands on `target`.

    Proportional and integral control of a Lagrange multiplier (Stooke et al. 2020, arXiv:2007.03964). A batch pays the
    multiplier, and in proportion to how far its mean share is off; then the multiplier moves by a twentieth of that.
    The multiplier alone answers too late: a policy that is priced out of asking never learns what asking is good for.
    Far below the target the price is negative, a bonus for asking.

    Args:
        target: mean offload share to land on, 0..1; None keeps the price as it is.
        rate: what the multiplier rises by after a batch of twice the target, in right answers for every `target` of
            tokens.
    """

    multiplier: float = 1.0
    target: float | None = None
    rate: float = 0.005

    def of_batch(self, mean_share: float) -> float:
        """The price for one batch with this mean share; moves the multiplier."""
        if self.target is None:
            return self.multiplier
        step = self.rate / self.target * max(-1.0, min(1.0, mean_share / self.target - 1))
        price = self.multiplier + PROPORTIONAL * step
        self.multiplier += step
        return price
