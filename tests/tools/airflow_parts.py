"""All parts of a local Airflow, as `airflow standalone` starts them, but without its log servers.

    python -m tests.tools.airflow_parts

The log servers listen on every address of the machine, and Airflow has no setting for that. They hand logs to other
machines; on this one, the API server reads them from the disk. SIGINT or SIGTERM ends all parts, and so does the end of
one of them. Only the scheduler is started again, unless it ends soon: it ends where SQLite, which has one writer, is
locked for it, and any service manager would have it start again.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import suppress

from tests.tools.up import part_of_airflow

SCHEDULER = "scheduler"
PARTS = (SCHEDULER, "triggerer", "dag-processor", "api-server")
# A scheduler that ends sooner than so many seconds after its start can't run at all.
SOON = 20.0


def main() -> int:
    """Runs until a signal or the end of a part, whose exit code it returns."""
    from airflow.configuration import write_default_airflow_configuration_if_needed
    from airflow.utils.db import initdb

    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    parts: dict[str, subprocess.Popen[bytes]] = {}
    with suppress(KeyboardInterrupt):
        # Has the keys that the parts have in common: each without them would make up its own.
        write_default_airflow_configuration_if_needed()
        initdb()
        for name in PARTS:
            parts[name] = subprocess.Popen(part_of_airflow(name))
        began = time.monotonic()
        while all(part.poll() is None for part in parts.values()):
            time.sleep(0.1)
            if parts[SCHEDULER].poll() is not None and time.monotonic() - began > SOON:
                parts[SCHEDULER], began = subprocess.Popen(part_of_airflow(SCHEDULER)), time.monotonic()
    ended = next((part.returncode for part in parts.values() if part.returncode is not None), 0)
    # The scheduler first: it waits for its tasks, and these need the API server.
    for part in parts.values():
        part.terminate()
        part.wait()
    return ended


if __name__ == "__main__":
    sys.exit(main())
