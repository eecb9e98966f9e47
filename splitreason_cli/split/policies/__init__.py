"""When the small model hands over, and when it takes back: a file a policy, `named` knows those that users name."""

from ..signals import CloseSignal, Prediction, Signal
from .alone import Always, Never
from .base import BrokenPolicyError, Factory, MissingSignalError, Place, Policy, PolicyContext, Span, check_supplied
from .entropy import Entropy, EntropyRecorder
from .keywords import Keyword
from .learned import Learned
from .named import POLICIES, make_policy
from .pattern import Pattern
from .placed import Placed
from .random_places import Random
from .relay import Relay
from .sampled import Sampled

__all__ = [
    "POLICIES",
    "Always",
    "BrokenPolicyError",
    "CloseSignal",
    "Entropy",
    "EntropyRecorder",
    "Factory",
    "Keyword",
    "Learned",
    "MissingSignalError",
    "Never",
    "Pattern",
    "Place",
    "Placed",
    "Policy",
    "PolicyContext",
    "Prediction",
    "Random",
    "Relay",
    "Sampled",
    "Signal",
    "Span",
    "check_supplied",
    "make_policy",
]
