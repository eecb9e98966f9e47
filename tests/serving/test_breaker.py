from splitreason_cli.serving.breaker import Breaker


def test_a_model_that_fails_again_and_again_is_left_alone_and_then_tried_once():
    breaker = Breaker(failures=2, rest_seconds=10)
    assert breaker.allows(0)
    breaker.failed(0)
    assert breaker.allows(1)
    breaker.failed(1)
    assert not breaker.allows(5)
    assert breaker.allows(12)
    assert not breaker.allows(13)


def test_one_success_closes_it_and_another_failure_opens_it_again():
    breaker = Breaker(failures=2, rest_seconds=10)
    breaker.failed(0)
    breaker.failed(0)
    assert breaker.allows(11)
    breaker.failed(11)
    assert not breaker.allows(20)
    assert breaker.allows(21)
    breaker.succeeded()
    assert breaker.allows(22)
    breaker.failed(22)
    assert breaker.allows(22)
