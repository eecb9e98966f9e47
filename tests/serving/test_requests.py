from splitreason_cli.serving.requests import Finished, Usage, describe


def test_a_log_line_has_every_figure():
    used = Usage(10, 1200, 60, 2, 1, 3, 8, (0.02, 0.03, 0.9))
    assert describe(Finished("stop", used), 4.321) == (
        "1,200 tokens in 4.32 s, 60 of the big model (5.0%) in 2 spans, 8 control, 3 overrun, 1 refused, "
        "hand-over 30 ms"
    )


def test_a_log_line_says_what_the_big_model_failed_at():
    line = describe(Finished("length", Usage(1, 5, 0, 1), degraded="no token in time"), 0.5)
    assert line == (
        "5 tokens in 0.50 s, 0 of the big model (0.0%) in 1 span, 0 control, 0 overrun, 0 refused, "
        "degraded: no token in time"
    )
