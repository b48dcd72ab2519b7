"""The Airflow UI with the demo connector, on Celery workers, Postgres and Redis. Ctrl-C stops everything."""

from __future__ import annotations

import argparse
import sys
import time
from functools import partial
from typing import NoReturn

from tests.tools.cluster import USER, cluster
from tests.tools.local_aws import LocalAws
from tests.tools.stage import CONNECTOR
from tests.tools.up import serve_until_stopped, welcome


def _serve(port: int, aws: LocalAws, hours: list[str]) -> NoReturn:
    print("Starting Postgres, Redis and the parts of Airflow, which takes a minute.", flush=True)
    with cluster(aws.environment(), dag=f"currents_export_{CONNECTOR}", port=port) as running:
        print(welcome(port, hours, f"user {USER}, password {running.password}"))
        print(f"DAGs are paused at first. The logs of all parts are in {running.home}", flush=True)
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The Airflow UI with the demo connector, on Celery workers")
    parser.add_argument("--port", type=int, default=8080)
    told = parser.parse_args()
    sys.exit(serve_until_stopped(told.port, partial(_serve, told.port)))
