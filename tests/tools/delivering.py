"""Delivers all files of a bucket in a process of its own, as a task would, so that it can be stopped and killed.

    python -m tests.tools.delivering <source bucket> <state bucket> <bus> <requests a second> <lease seconds> <owner>

SIGTERM ends it in good order, as Airflow ends a task. Exit code 0: delivered; 3: ended early, and stderr says why.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from _thread import start_new_thread
from typing import Any

import boto3
from botocore.config import Config

from currents_aws.choose_transport import transport_for
from currents_aws.custom_bus import CustomBus
from currents_aws.event_bus import EventBus
from currents_aws.s3 import S3Objects
from currents_core.books.layout import Layout
from currents_core.books.ledger import Ledger
from currents_core.delivering.deliver import Delivery
from currents_core.errors import CurrentsError
from currents_core.file_key import SourceFile, by_slice
from currents_core.ports import Target
from currents_core.sending.pacer import Pacer
from currents_core.setup.settings import Connector
from tests.tools.airflow_env import PYTHONPATH, ROOT

ENDED_EARLY = 3


def main(source: str, state: str, bus: str, *, rate: float, lease: float, owner: str) -> int:
    """Delivers what is below `in/` of the source bucket. The ARN of a custom bus tells itself from other names."""
    kind = "custom_bus" if ":event-busv2/" in bus else "event_bus"
    connector = Connector.model_validate(
        {
            "name": "faults",
            "source": {"bucket": source, "prefix": "in"},
            "destination": {"kind": kind, "name": bus, "region": "us-east-1"},
            "state": {"bucket": state},
            "budget": {"entries_per_second": 10_000},
        }
    )
    s3 = boto3.client("s3")
    once = boto3.client("s3", config=Config(retries={"total_max_attempts": 1}, read_timeout=4))
    files, store = S3Objects(s3, source), S3Objects(s3, state, once)
    delivery = Delivery(
        connector=connector,
        source=files,
        target=target_of(kind, bus),
        pacer=Pacer(rate, None),
        ledger=Ledger(store, Layout(), lease=lease),
        owner=owner,
    )
    signal.signal(signal.SIGTERM, lambda *_: start_new_thread(delivery.stop, ()))
    try:
        listed = [SourceFile(source, each.key, each.etag, each.size) for each in files.objects("in/")]
        delivery.deliver(by_slice(listed))
    except CurrentsError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return ENDED_EARLY
    return 0


def target_of(kind: str, bus: str) -> Target:
    """The bus as a destination."""
    service = {"event_bus": "events", "custom_bus": "eventbridgev2"}[kind]
    client: Any = boto3.Session().client(service, config=Config(retries={"total_max_attempts": 1}))  # type: ignore[call-overload]
    transport = transport_for(client)
    return CustomBus(transport, bus) if kind == "custom_bus" else EventBus(client, transport, bus)


def start(
    source: str, state: str, bus: str, *, rate: float, lease: float = 60, owner: str = "a task"
) -> subprocess.Popen[str]:
    """Starts a delivery with the AWS settings of this process's environment."""
    arguments = [source, state, bus, str(rate), str(lease), owner]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.tools.delivering", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        stderr=subprocess.PIPE,
        text=True,
    )


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    source, state, bus, rate, lease, owner = sys.argv[1:]
    # Threads that a fault left behind must not keep a process whose work has ended.
    code = main(source, state, bus, rate=float(rate), lease=float(lease), owner=owner)
    sys.stderr.flush()
    os._exit(code)
