"""What the commands share: the connectors that are asked for, and how a fault ends a command."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from typing import Any

from currents_airflow.connectors import all_connectors, one_connector
from currents_core.errors import CurrentsError, SetupError, shown
from currents_core.setup.settings import Connector

# Of a key or a reason so many characters are printed.
_MOST = 2_000


def chosen(name: str | None) -> list[Connector]:
    """The connector ``name``, or all valid ones. Raises SetupError where there is none."""
    if name:
        return [one_connector(name)]
    found = all_connectors()
    if not found.valid:
        raise SetupError(f"{found.path} has no valid connector; `validate` says why")
    return list(found.valid.values())


def printed(text: str) -> str:
    """What an event or a key says, as a terminal may show it: on one line, without signs that it obeys."""
    return shown(text, _MOST)


def tell(args: argparse.Namespace, found: list[dict[str, Any]], text: Callable[[dict[str, Any]], str]) -> None:
    """Prints what was found, each as ``text`` has it, or all as JSON where that is asked for."""
    print(json.dumps(found, indent=2, ensure_ascii=False) if args.json else "\n".join(map(text, found)))  # noqa: T201


@contextmanager
def told_faults() -> Iterator[None]:
    """Ends the command with one line for a fault. Airflow's database, like its environment, has the connections."""
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
    # Airflow logs to the standard output, in two ways, and the answer is to be alone there.
    logging.disable()
    try:
        with redirect_stdout(StringIO()):
            yield
    except CurrentsError as error:
        sys.exit(str(error))
    finally:
        logging.disable(logging.NOTSET)
