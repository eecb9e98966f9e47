"""Where `srx` begins."""

import signal


def main() -> None:
    """Run `srx`. Ctrl-C before it is imported ends it as one without a program to catch it would."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:
        # Raised in the middle of an import, KeyboardInterrupt would show a traceback, or be taken for another error.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from .cli import main as run

    signal.signal(signal.SIGINT, before)
    run()


if __name__ == "__main__":
    main()
