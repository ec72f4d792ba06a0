"""The command `abpipe`: the one place where errors become exit codes.

It imports little: worker processes import it, too, and need none of the command line.
"""

from __future__ import annotations

import signal
import sys

from abpipe.errors import AbpipeError
from abpipe.process import guard_output, leave, start_fast

INTERRUPTED = 130


def run() -> None:
    """The command as a process of its own."""
    start_fast()
    guard_output()
    try:
        main()
    except SystemExit as end:
        if not isinstance(end.code, int | None):  # a message, which Python prints
            raise
        leave(end.code or 0)


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 an error, 2 wrong usage, 130 interrupted."""
    from abpipe.cli import app

    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # as `abpipe sql … | head` expects
    try:
        app()
    except AbpipeError as err:
        if {"-v", "--verbose"} & {*sys.argv}:
            raise
        sys.stderr.write(f"error: {err}\n")
        sys.exit(1)
    except (KeyboardInterrupt, SystemExit) as end:
        if isinstance(end, SystemExit) and end.code != INTERRUPTED:  # typer's word for Ctrl-C
            raise
        sys.stderr.write("interrupted: what was not finished was not stored\n")
        leave(INTERRUPTED)  # other threads might have more to say


if __name__ == "__main__":
    run()
