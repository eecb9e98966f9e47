"""The split state machine, without I/O: events in, actions out.

A driver owns the two models and does what the actions say; the controller owns every decision. It keeps, for each
model, the token ids that model must have read (`context`). Contexts only grow, except that tokens the big model wrote
past the point where the small one took back are cut off again. Models with different vocabularies each have their own
ids of the same text; offsets in a span always count the big model's tokens.

    state   event                         next    actions
    small   Produced(small, text)         small   Emit, Decode(small)
    small   opening tag, or policy opens  big     Emit, Decode(big); small tokens from there on are dropped
    small   the same, budget refuses      small   Decode(small, the tag forbidden for a span)
    small   Produced(small, end of text)  done    Emit, Finish("stop")
    big     Produced(big, ...)            big     Probe for tagged policies, else as Probed
    big     Probed, nothing closes        big     Emit, Decode(big)
    big     Probed, closes at k           small   Emit up to k, Decode(small)
    big     span or budget used up        small   Emit, Decode(small)
    big     Produced(big, end of text)    done    Emit, Finish("stop")
    big     Failed(big)                   small   Decode(small); no further hand-over
    any     max_tokens, or a full context done    Emit, Finish("length")
    any     Failed(small)                 done    Finish("error")
    any     Cancelled                     done    Finish("cancelled")
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..records.data import Author
from .budget import Budget, OffloadBudget
from .contexts import Contexts
from .events import Action, Cancelled, Decode, Emit, Event, Failed, Finish, FinishReason, Probe, Probed, Produced
from .limits import PROBE_TOKENS, TAGS_OF_SPAN, TRANSLATION_TOKENS, Limits
from .policies.base import Place, Policy, Span, TextOf
from .signals import PREDICTIONS, CloseSignal, Prediction, Signal
from .vocabulary import TokenIds, Vocabulary


class ProtocolError(RuntimeError):
    """A driver sent an event that the last actions do not allow: a bug in the driver."""


@dataclass
class SplitController:
    """The decisions of one request. Hold it by `with`: left unfinished it is cancelled, and its lease is free again.

    Args:
        small_prompt, big_prompt: token ids; only the small model's may speak of the tags.
        tokens: the control tokens, those of each model if they differ.
        budget: shared by all requests of a run.
        vocabularies: of two models with different tokens; None if they share one.
        decode: the text of each model's token ids, for policies that need it.

    Attributes:
        context: the token ids each model must have read before it goes on. If vocabularies differ, that of the model
            without the floor may be some text behind.
        completion: the token ids of all segments in order.
        segments: (author, token ids) of the final text, a new one at every hand-over.
        hand_overs, refused, cut_spans: requests granted, refused, and spans that a limit, budget or failure ended. Once
            the big model has failed, there are no requests any more.
        discarded_tokens: big tokens that were cut because the small model took back before them.
        ended_in_span: whether the text ended while the big model was writing.
    """

    small_prompt: Sequence[int]
    big_prompt: Sequence[int]
    tokens: TokenIds | Mapping[Author, TokenIds]
    policy: Policy
    limits: Limits
    budget: Budget = field(default_factory=OffloadBudget)
    vocabularies: Mapping[Author, Vocabulary] | None = None
    decode: Mapping[Author, TextOf] | None = None

    context: dict[Author, list[int]] = field(init=False)
    segments: list[tuple[Author, list[int]]] = field(init=False, default_factory=list)
    completion: list[int] = field(init=False, default_factory=list)
    hand_overs: int = field(init=False, default=0)
    refused: int = field(init=False, default=0)
    cut_spans: int = field(init=False, default=0)
    discarded_tokens: int = field(init=False, default=0)
    ended_in_span: bool = field(init=False, default=False)
    finish_reason: FinishReason | None = field(init=False, default=None)

    _contexts: Contexts = field(init=False)
    _small: TokenIds = field(init=False)
    _big: TokenIds = field(init=False)
    _floor: Author = field(init=False, default="small")
    _span: list[int] = field(init=False, default_factory=list)
    _confirmed: int = field(init=False, default=0)
    _span_has_end: bool = field(init=False, default=False)
    _lease: int = field(init=False, default=0)
    _barred_until: int = field(init=False, default=0)
    _big_is_usable: bool = field(init=False, default=True)
    _pending: list[Action] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self._contexts = Contexts(self.small_prompt, self.big_prompt, self.vocabularies)
        self.context = self._contexts.ids
        both = self.tokens
        self._small, self._big = (both, both) if isinstance(both, TokenIds) else (both["small"], both["big"])
        needs = self.policy.needs
        self._asks_before_tokens, self._asks_small = bool(needs & PREDICTIONS), Signal.CLOSE in needs
        if needs & {Signal.TEXT, Signal.STEPS} and not self.decode:
            raise ProtocolError(f"policy {self.policy.name!r} reads text, and nothing was given to read it with")
        decode = self.decode or {}
        self._small_text = decode.get("small")
        self._span_text = decode.get("big") if Signal.TEXT in needs else None

    def __enter__(self) -> "SplitController":
        return self

    def __exit__(self, *_error: object) -> None:
        self.receive(Cancelled())

    @property
    def big_tokens(self) -> int:
        return sum(len(ids) for author, ids in self.segments if author == "big")

    @property
    def may_hand_over(self) -> bool:
        """Whether the big model may yet be needed."""
        return self._big_is_usable and self.policy.may_open

    def tokens_of(self, author: Author) -> TokenIds:
        """The control tokens of one model's vocabulary."""
        return self._small if author == "small" else self._big

    def start(self) -> tuple[Action, ...]:
        """The first actions. Call once."""
        self._continue_small()
        return self._take_actions()

    def receive(self, event: Event) -> tuple[Action, ...]:
        """Take one event, return what to do next. Events after the end return nothing."""
        if self.finish_reason is not None:
            return ()
        match event:
            case Produced(author=author) if author != self._floor:
                raise ProtocolError(f"the {author} model produced tokens while the {self._floor} one had the floor")
            case Produced("small", ids, predictions):
                self._small_produced(ids, predictions)
            case Produced("big", ids):
                self._big_produced(ids)
            case Probed(upto, signals):
                self._probed(upto, signals)
            case Failed("big"):
                self._big_failed()
            case Failed():
                self._finish("error")
            case Cancelled():
                self._finish("cancelled")
        return self._take_actions()

    @property
    def unconfirmed(self) -> range:
        """The offsets in this span after which it is not decided yet whether the small model takes back."""
        return range(self._confirmed + 1, len(self._span) + 1)

    def small_context_at(self, offset: int, after: int = 0) -> list[int]:
        """What the small model is to have read to tell whether it takes back after `offset` tokens of this span.

        Args:
            after: leave out the first so many tokens, which are settled.
        """
        if self._floor != "big" or not 0 <= offset <= len(self._span):
            raise ProtocolError(f"no token {offset} in a span of {len(self._span)}")
        return self._contexts.small_at(offset, after)

    def settled_tokens(self, author: Author) -> int:
        """How many tokens at the beginning of a model's context stay as they are, whatever comes."""
        if self._floor == "small":
            return len(self.context[author])
        return self._contexts.settled(author, self._confirmed)

    # The small model has the floor

    def _small_produced(self, ids: Sequence[int], predictions: Sequence[Prediction]) -> None:
        asks_before = self._asks_before_tokens
        if asks_before and len(predictions) != len(ids):
            raise ProtocolError(f"{len(ids)} tokens came with {len(predictions)} predictions, which the policy needs")
        for number, token in enumerate(ids):
            if asks_before and self._policy_hands_over(predictions[number]):
                return None
            if token in self._small.end_of_text:
                return self._finish("stop")
            if token == self._small.open and self.policy.tagged:
                if self._hand_over():
                    return None
                # The small model now writes this span itself. Asking again in its middle would be too late to help.
                self._barred_until = len(self.completion) + math.ceil(self.budget.mean_span_tokens)
                return self._decode_small()
            if token in self._small.tags:
                raise ProtocolError(f"the small model produced the forbidden token {token}")
            self._append(token)
            self.budget.record(small=1)
            if self._at_limit():
                return self._finish("length")
            if not asks_before and self._policy_hands_over():
                return None
        return self._decode_small()

    def _continue_small(self) -> None:
        # Text that was held back in the other vocabulary may have filled the context at the hand-over.
        if self._at_limit():
            return self._finish("length")
        if self._asks_before_tokens or not self._policy_hands_over():
            self._decode_small()
        return None

    def _policy_hands_over(self, prediction: Prediction | None = None) -> bool:
        if self.policy.tagged or not self._big_is_usable:
            return False
        place = Place(self._contexts.plain, self.policy.needs, prediction, self._small_text)
        return self.policy.opens(place) and self._hand_over()

    def _decode_small(self) -> None:
        forbid = set(self._small.tags)
        left = self._left()
        barred = self._barred_until - len(self.completion)
        if barred > 0:
            left = min(left, barred)
        elif self.policy.tagged and self._big_is_usable:
            forbid -= {self._small.open}
        self._pending.append(Decode("small", left, frozenset(forbid)))

    # Handing over and back

    def _hand_over(self) -> bool:
        if not self._big_is_usable:
            return False
        lease = min(self.budget.span_reserve_tokens, self._left(spans=1))
        if lease < 1 or not self.budget.reserve(lease):
            self.refused += 1
            return False
        self._lease = lease
        self._floor = "big"
        self._span, self._confirmed, self._span_has_end = [], 0, False
        self.hand_overs += 1
        self.segments.append(("big", []))
        self._contexts.open_span(self._small.open if self.policy.tagged else None)
        self._decode_big()
        return True

    def _decode_big(self) -> None:
        """Let the big model go on, or take back if its context, the span limit or the budget leaves it no token."""
        if self._at_limit() or not self._take_room():
            self._hand_back(cut=True)
            return self._continue_small()
        left = self._left()
        if self.limits.max_span_tokens is not None:
            left = min(left, self.limits.max_span_tokens - self._confirmed)
        if self.budget.room() is not None:
            left = min(left, self._lease)
        self._pending.append(Decode("big", left, self._big.tags))
        return None

    def _hand_back(self, *, cut: bool) -> None:
        """End the span after its last confirmed token; what lies beyond leaves both contexts again."""
        self._end_span(cut=cut)
        self._contexts.close_span(self._confirmed, self._small.close if self.policy.tagged else None)

    def _end_span(self, *, cut: bool) -> None:
        self.discarded_tokens += len(self._span) - self._confirmed
        del self._span[self._confirmed :]
        self.budget.release(self._lease)
        self._lease = 0
        if cut:
            self.cut_spans += 1
        else:
            self.budget.record(whole_spans=1)
        self._floor = "small"
        if not self.segments[-1][1]:
            self.segments.pop()

    # The big model has the floor

    def _big_produced(self, ids: Sequence[int]) -> None:
        for token in ids:
            if token in self._big.end_of_text:
                self._span_has_end = True
                break
            if token in self._big.tags:
                raise ProtocolError(f"the big model produced the forbidden token {token}")
            self._span.append(token)
            self._contexts.big_wrote(token)
        if self._asks_small and len(self._span) > self._confirmed:
            self._pending.append(Probe(len(self._span)))
        else:
            self._confirm(len(self._span), {})

    def _probed(self, upto: int, signals: Sequence[CloseSignal]) -> None:
        if self._floor != "big" or upto > len(self._span):
            raise ProtocolError(f"probed up to {upto}, but the span has {len(self._span)} tokens")
        self._confirm(upto, {signal.offset: signal for signal in signals})

    def _confirm(self, upto: int, signals: dict[int, CloseSignal]) -> None:
        for offset in range(self._confirmed + 1, upto + 1):
            if not self._take_room():
                self._hand_back(cut=True)
                return self._continue_small()
            self._confirm_token(offset)
            # Mostly the token is the newest one: a copy of a long span for each would cost more than all else here.
            ids = self._span if offset == len(self._span) else self._span[:offset]
            if self.policy.closes(Span(ids, signals.get(offset), self._span_text)):
                self._hand_back(cut=False)
                return self._continue_small()
            if self._at_limit():
                return self._finish("length")
        if self._confirmed < len(self._span):
            return None
        return self._finish("stop") if self._span_has_end else self._decode_big()

    def _confirm_token(self, offset: int) -> None:
        token = self._span[offset - 1]
        self._confirmed = offset
        self.completion.append(token)
        self.segments[-1][1].append(token)
        self._emit("big", token)
        self.budget.release(1)
        self._lease -= 1
        self.budget.record(big=1)

    def _take_room(self) -> bool:
        """Reserve one more big token that may stay, unless one is reserved; returns whether there is room for it.

        Drivers are free to run past the limits that they were given.
        """
        limit = self.limits.max_span_tokens
        if limit is not None and self._confirmed >= limit:
            return False
        if not self._lease and self.budget.reserve(1):
            self._lease = 1
        return self._lease > 0

    def _big_failed(self) -> None:
        self._big_is_usable = False
        if self._floor == "big":
            self._hand_back(cut=True)
            self._continue_small()

    # The end, and what both sides share

    def _append(self, token: int) -> None:
        if not self.segments or self.segments[-1][0] != "small":
            self.segments.append(("small", []))
        self.segments[-1][1].append(token)
        self.completion.append(token)
        self._contexts.small_wrote(token)
        self._emit("small", token)

    def _emit(self, author: Author, token: int) -> None:
        if self._pending and isinstance(self._pending[-1], Emit) and self._pending[-1].author == author:
            self._pending[-1] = Emit(author, (*self._pending[-1].ids, token))
        else:
            self._pending.append(Emit(author, (token,)))

    def _at_limit(self) -> bool:
        return self._left() <= 0

    def _left(self, spans: int = 0) -> int:
        """How many more tokens the completion may have if so many spans more begin."""
        left = self.limits.max_tokens - len(self.completion)
        for author, most in self.limits.context_tokens.items():
            left = min(left, most - self._read(author, spans) - PROBE_TOKENS)
        return left

    def _read(self, author: Author, spans: int) -> int:
        """The tokens of a model's context without what is not confirmed, with the tags of so many further spans."""
        tags = TAGS_OF_SPAN if self.policy.tagged and author == "small" else 0
        if self.vocabularies is not None:
            return len(self.context[author]) + tags + TRANSLATION_TOKENS
        prompt = self.small_prompt if author == "small" else self.big_prompt
        return len(prompt) + len(self.completion) + tags * (self.hand_overs + spans)

    def _finish(self, reason: FinishReason) -> None:
        if self._floor == "big":
            self.ended_in_span = True
            self._end_span(cut=reason != "stop")
            self._contexts.close_span(self._confirmed, None)
        else:
            self._contexts.end_small_turn()
        self.finish_reason = reason
        self._pending.append(Finish(reason))

    def _take_actions(self) -> tuple[Action, ...]:
        actions, self._pending = tuple(self._pending), []
        return actions
