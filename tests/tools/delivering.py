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
from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config

from currents_aws.choose_transport import transport_for
from currents_aws.custom_bus import CustomBus
from currents_aws.event_bus import EventBus
from currents_aws.partner_source import PartnerSource
from currents_aws.put_target import PutTarget
from currents_aws.s3 import S3Objects
from currents_core.books.layout import Layout
from currents_core.books.ledger import Ledger
from currents_core.delivering.deliver import Delivery
from currents_core.errors import CurrentsError
from currents_core.file_key import SourceFile, by_slice
from currents_core.sending.pacer import Pacer
from currents_core.setup.settings import Connector
from tests.tools.airflow_env import PYTHONPATH, ROOT

ENDED_EARLY = 3


def main(source: str, state: str, bus: str, *, rate: float, lease: float, owner: str) -> int:
    """Delivers what is below `in/` of the source bucket. ``bus`` may also be the name of a partner event source."""
    connector = Connector.model_validate(
        {
            "name": "faults",
            "source": {"bucket": source, "prefix": "in"},
            "destination": destination_of(bus),
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
        target=target_of(connector),
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


def destination_of(bus: str) -> dict[str, str]:
    """The settings of a destination, from a name that tells what it is."""
    if bus.startswith("aws.partner/"):
        _, partner, _, account = bus.split("/")
        return {"kind": "partner_source", "partner_name": partner, "account": account, "region": "us-east-1"}
    kind = "custom_bus" if ":event-busv2/" in bus else "event_bus"
    return {"kind": kind, "name": bus, "region": "us-east-1"}


def once(service: str) -> Any:
    """A client of a service that tries each request once."""
    return boto3.Session().client(service, config=Config(retries={"total_max_attempts": 1}))  # type: ignore[call-overload]


def target_of(connector: Connector, client_of: Callable[[str], Any] = once) -> PutTarget:
    """The destination of a connector, by a client of the service that it needs."""
    destination, name = connector.destination, connector.destination_name
    client = client_of("eventbridgev2" if destination.kind == "custom_bus" else "events")
    transport = transport_for(client)
    if destination.kind == "custom_bus":
        return CustomBus(transport, name, sender=connector.name)
    if destination.kind == "partner_source":
        return PartnerSource(client, transport, name, destination.account)
    return EventBus(client, transport, name)


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
