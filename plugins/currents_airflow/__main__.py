"""`python -m currents_airflow …`: the commands of `airflow currents`, where no wheel makes them known to Airflow."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from currents_airflow.cli.definition import COMMANDS


def main(words: Sequence[str]) -> None:
    """Runs a command."""
    parser = argparse.ArgumentParser(prog="python -m currents_airflow", description=__doc__)
    made = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        one = made.add_parser(command.name, help=command.help, description=command.help)
        for argument in command.args:
            argument.add_to_parser(one)
        one.set_defaults(func=command.func)
    told = parser.parse_args(words)
    told.func(told)


if __name__ == "__main__":
    main(sys.argv[1:])
