from splitreason_cli.serving.breaker import Breaker


def timed(failures, rest_seconds):
    """A function from the time to the breaker at that time."""
    now = [0.0]
    breaker = Breaker(failures, rest_seconds, clock=lambda: now[0])

    def at(seconds):
        now[0] = seconds
        return breaker

    return at


def test_a_model_that_fails_again_and_again_is_left_alone_and_then_tried_once():
    at = timed(failures=2, rest_seconds=10)
    assert at(0).allows()
    at(0).failed()
    assert at(1).allows()
    at(1).failed()
    assert not at(5).allows()
    assert at(12).allows()
    assert not at(13).allows()


def test_one_success_closes_it_and_another_failure_opens_it_again():
    at = timed(failures=2, rest_seconds=10)
    at(0).failed()
    at(0).failed()
    assert at(11).allows()
    at(11).failed()
    assert not at(20).allows()
    assert at(21).allows()
    at(22).succeeded()
    assert at(22).allows()
    at(22).failed()
    assert at(22).allows()
