"""`python -m tests.chaos`: plays the chaos suite, prints the table, and fails where anything is not as promised."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace

from tests.chaos.faults import FAULTS
from tests.chaos.form import LONG, SHORT
from tests.chaos.run import run, table


def parsed(words: Sequence[str]) -> argparse.Namespace:
    """What was asked for. A fault that there is not would never strike, so it is refused."""
    parser = argparse.ArgumentParser(description="An export while one fault after the other strikes the cluster")
    parser.add_argument("--short", action="store_true", help="fewer hours and faults, in a quarter of an hour")
    parser.add_argument("--seed", type=int, default=1, help="decides the order of the faults, and whom they strike")
    names = [fault.name for fault in FAULTS]
    parser.add_argument("--only", nargs="+", choices=names, metavar="FAULT", help=f"of {', '.join(names)}", default=())
    return parser.parse_args(words)


def main() -> int:
    """Plays it; a signal ends it in good order."""
    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sign, signal.default_int_handler)
    told = parsed(sys.argv[1:])
    form = SHORT if told.short else LONG
    outcomes, complaints = run(replace(form, faults=told.only or form.faults), told.seed)
    print(f"\n{table(outcomes)}\n")
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    skipped = sum(bool(outcome.skipped) for outcome in outcomes)
    held = f"Everything held, but {skipped} of the faults were not played." if skipped else "Everything held."
    print("FAILED" if complaints else held)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
