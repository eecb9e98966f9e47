import asyncio
import itertools
import signal

import pytest

from splitreason_cli.annotating.concurrent import StopMappingError, map_ordered


def test_results_come_in_the_order_of_the_inputs_whatever_ends_first():
    async def later(n):
        for _ in range(20 - n):
            await asyncio.sleep(0)
        return n * n

    assert list(map_ordered(later, range(20), concurrency=5)) == [n * n for n in range(20)]


def test_no_more_calls_run_than_allowed_and_endless_inputs_are_read_as_needed():
    running, peak, started = 0, 0, 0

    async def call(n):
        nonlocal running, peak, started
        started += 1
        running += 1
        peak = max(peak, running)
        await asyncio.sleep(0)
        running -= 1
        return n

    results = map_ordered(call, itertools.count(), concurrency=3)
    assert list(itertools.islice(results, 10)) == list(range(10))
    results.close()
    assert peak == 3
    assert started < 1100


class OutOfMoneyError(StopMappingError):
    pass


@pytest.mark.parametrize("error", [ValueError, OutOfMoneyError])
def test_a_failing_call_starts_no_other_but_those_in_flight_end_and_are_delivered_first(error):
    started, ended = [], []

    async def call(n):
        started.append(n)
        if n == 5:
            raise error("five")
        for _ in range(10):
            await asyncio.sleep(0)
        ended.append(n)
        return n

    seen = []

    def collect():
        for result in map_ordered(call, range(100), concurrency=4):
            seen.append(result)

    with pytest.raises(error, match="five"):
        collect()
    assert seen == [0, 1, 2, 3, 4]
    assert len(started) < 12
    assert set(ended) == set(started) - {5}


def test_the_connection_is_closed_in_the_loop_that_used_it():
    loops = []

    async def call(n):
        loops.append(asyncio.get_running_loop())
        return n

    async def close():
        loops.append(asyncio.get_running_loop())

    assert list(map_ordered(call, [1], 1, close)) == [1]
    assert len(set(loops)) == 1
    assert len(loops) == 2


@pytest.mark.parametrize("moment", ["in a call", "between results"])
def test_ctrl_c_lets_the_calls_in_flight_end_and_delivers_their_results_whenever_it_comes(moment):
    started, seen = [], []

    async def call(n):
        started.append(n)
        if n == 5 and moment == "in a call":
            signal.raise_signal(signal.SIGINT)
        for _ in range(10):
            await asyncio.sleep(0)
        return n

    def collect():
        for result in map_ordered(call, itertools.count(), concurrency=4):
            seen.append(result)
            if result == 2 and moment == "between results":
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        collect()
    assert seen == started
    assert 3 <= len(seen) < 30
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_after_the_last_call_is_not_forgotten():
    async def call(n):
        return n

    async def close():
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        list(map_ordered(call, range(3), concurrency=4, at_end=close))
