"""All parts of a local Airflow, as `airflow standalone` starts them, but without its log servers.

    python -m tests.tools.airflow_parts

The log servers listen on every address of the machine, and Airflow has no setting for that. They hand logs to other
machines; on this one, the API server reads them from the disk. SIGINT or SIGTERM ends all parts, and so does the end of
one of them.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import suppress

from tests.tools.up import part_of_airflow

PARTS = ("scheduler", "triggerer", "dag-processor", "api-server")


def main() -> int:
    """Runs until a signal or the end of a part, whose exit code it returns."""
    from airflow.configuration import write_default_airflow_configuration_if_needed
    from airflow.utils.db import initdb

    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    parts: list[subprocess.Popen[bytes]] = []
    with suppress(KeyboardInterrupt):
        # Has the keys that the parts have in common: each without them would make up its own.
        write_default_airflow_configuration_if_needed()
        initdb()
        parts += [subprocess.Popen(part_of_airflow(part)) for part in PARTS]
        while all(part.poll() is None for part in parts):
            time.sleep(0.1)
    ended = next((part.returncode for part in parts if part.returncode is not None), 0)
    # The scheduler first: it waits for its tasks, and these need the API server.
    for part in parts:
        part.terminate()
        part.wait()
    return ended


if __name__ == "__main__":
    sys.exit(main())
