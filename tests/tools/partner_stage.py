"""Sets the stage for a demo of a partner event source: its account, its buckets, and the customer who accepts it."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from currents_core.setup.connectors_file import load_connectors
from currents_core.setup.settings import Connector
from tests.tools.airflow_env import EXAMPLE
from tests.tools.awaiting import wait_for
from tests.tools.local_aws import LocalAws
from tests.tools.stage import CONNECTOR, QUEUE, make_buckets, make_queue

PARTNER = "example.com"
# The only account of local AWS: it is the partner's and the customer's.
ACCOUNT = "123456789012"
# Slow enough that a run can be caught in the middle, and that moto can hand each event to a queue.
ENTRIES_PER_SECOND = 60


def set_partner_stage(aws: LocalAws, path: Path) -> Connector:
    """Registers the account as a partner, makes the connector's buckets, and writes its connectors file to ``path``.

    The file is the demo's, with another destination, of which it knows an account and a region.
    """
    aws.register_partner()
    [settings] = yaml.safe_load(EXAMPLE.read_text("utf-8"))["connectors"]
    settings["destination"] = {"kind": "partner_source", "account": ACCOUNT, "region": "us-east-1"}
    settings["budget"] = {"entries_per_second": ENTRIES_PER_SECOND}
    path.write_text(yaml.safe_dump({"connectors": [settings]}, sort_keys=False), "utf-8")
    connector = load_connectors(path, PARTNER).one(CONNECTOR)
    make_buckets(aws, connector)
    return connector


class Customer:
    """What people do in the console of the account that the source called ``name`` is offered to."""

    def __init__(self, aws: LocalAws, name: str) -> None:
        self._events = aws.client("events")
        self._name = name
        self._queue = make_queue(aws)

    def associate(self) -> None:
        """Associates the source with a bus, as soon as it is offered, and has a rule bring its events to a queue."""
        wait_for(240, self._is_offered)
        self._events.create_event_bus(Name=self._name, EventSourceName=self._name)
        pattern = json.dumps({"source": [self._name]})
        self._events.put_rule(Name=QUEUE, EventBusName=self._name, EventPattern=pattern)
        self._events.put_targets(Rule=QUEUE, EventBusName=self._name, Targets=[{"Id": "queue", "Arn": self._queue}])

    def delete_bus(self) -> None:
        """Deletes the bus of the source.

        AWS wants its rules to be deleted before. Here they go with it, so that no event meets a bus without its rule.
        """
        self._events.delete_event_bus(Name=self._name)

    def _is_offered(self) -> bool:
        found = self._events.list_event_sources(NamePrefix=self._name)["EventSources"]
        return any(each["State"] == "PENDING" for each in found)
