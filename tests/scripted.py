"""Scripted models and a driver that groups tokens as it likes: for testing the controller without any model."""

import random
from collections.abc import Callable, Sequence

from splitreason_cli.split.controller import SplitController
from splitreason_cli.split.events import Decode, Emit, Finish, Probe, Probed, Produced
from splitreason_cli.split.policies import CloseSignal, Prediction
from splitreason_cli.split.vocabulary import TokenIds

OPEN, CLOSE, END = 100, 101, 102
TOKENS = TokenIds(OPEN, CLOSE, frozenset([END]))
LETTERS = range(10)

Model = Callable[[Sequence[int]], list[int]]
"""Given a context, all tokens in order of preference."""


def scripted(
    seed: object, tags: float = 0.2, end: float = 0.05, letters: Sequence[int] = LETTERS, control: TokenIds = TOKENS
) -> Model:
    """A model whose preferences depend on the context alone."""
    opening, closing, ending = control.open, control.close, min(control.end_of_text)

    def prefer(context: Sequence[int]) -> list[int]:
        rng = random.Random(f"{seed}/{list(context)}")
        order = rng.sample(letters, len(letters))
        if rng.random() < tags:
            order.insert(0, opening if closing in context or opening not in context else rng.choice([opening, closing]))
        if rng.random() < end:
            order.insert(0, ending)
        return [*order, opening, closing]

    return prefer


def closes(seed: object, context: Sequence[int], chance: float = 0.4) -> bool:
    return random.Random(f"{seed}/close/{list(context)}").random() < chance


def entropy_at(context: Sequence[int]) -> float:
    """How uncertain a scripted model is, 0..1."""
    return random.Random(f"entropy/{list(context)}").random()


def choose(model: Model, context: Sequence[int], forbid: frozenset[int]) -> int:
    return next(token for token in model(context) if token not in forbid)


def drive(
    controller: SplitController, small: Model, big: Model, seed: object, chunk: Callable[[], int]
) -> list[tuple[str, int]]:
    """Run a controller to its end, producing and probing `chunk()` tokens at a time; returns what was emitted."""
    emitted: list[tuple[str, int]] = []
    actions = list(controller.start())
    for _ in range(10_000):
        floor: Decode | None = None
        probe: Probe | None = None
        for action in actions:
            if isinstance(action, Emit):
                emitted += [(action.author, token) for token in action.ids]
            elif isinstance(action, Finish):
                return emitted
            elif isinstance(action, Decode):
                floor = action
            else:
                probe = action
        if probe:
            actions = list(controller.receive(answer(controller, probe, seed)))
        elif floor:
            model = small if floor.author == "small" else big
            context = list(controller.context[floor.author])
            ids = produce(controller, floor, model, chunk())
            predictions = tuple(Prediction(entropy_at([*context, *ids[:n]])) for n in range(len(ids)))
            actions = list(controller.receive(Produced(floor.author, ids, predictions)))
        else:
            raise AssertionError(f"the controller asks for nothing: {actions}")
    raise AssertionError("the controller does not end")


def produce(controller: SplitController, floor: Decode, model: Model, count: int) -> tuple[int, ...]:
    """Up to `count` tokens, as a server would stream them: `forbid` holds throughout, a tag or the end stops it."""
    tokens = controller.tokens if isinstance(controller.tokens, TokenIds) else controller.tokens[floor.author]
    context, ids = list(controller.context[floor.author]), []
    while len(ids) < min(count, floor.max_tokens):
        token = choose(model, context, floor.forbid)
        ids.append(token)
        context.append(token)
        if token in tokens.tags | tokens.end_of_text:
            break
    return tuple(ids)


def answer(controller: SplitController, probe: Probe, seed: object) -> Probed:
    """Close signals for every offset of the span."""
    signals = tuple(
        CloseSignal(offset, -1.0, closes(seed, controller.small_context_at(offset)))
        for offset in range(1, probe.upto + 1)
    )
    return Probed(probe.upto, signals)
