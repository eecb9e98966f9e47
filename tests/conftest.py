"""For all tests: none fails because the machine was busy for a moment. Timings belong in benchmarks."""

import os
import signal

import pytest
from hypothesis import settings

# The models are tiny: threads would wait for each other, and for ever on a busy machine. Also for child processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# As the command line has it: what TRL's rollouts promise is pinned by tests here.
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

# A shell starts what it puts in the background with Ctrl-C ignored, and children inherit that. Tests of Ctrl-C would
# wait for an interruption that never comes, until their time-out.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples on every run: what fails, fails again. `--hypothesis-profile explore` draws others.
settings.register_profile("patient", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile("patient")


@pytest.fixture(scope="module")
def browser():
    from tests.pages import launched  # skips its importer where there is no playwright

    with launched() as browser:
        yield browser


@pytest.fixture
def open_page(browser, address):
    """Opens the page at the module's `address`."""
    from tests.pages import opening

    with opening(browser, address) as opened:
        yield opened


@pytest.fixture
def page(open_page):
    return open_page()
