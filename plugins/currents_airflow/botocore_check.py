"""Refuses connectors that the installed botocore has no service for, without loading it: DAG files are parsed often."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version

from currents_core.setup.connectors_file import Connectors
from currents_core.setup.settings import Connector

# The first release of botocore, and of boto3, with the service `eventbridgev2`.
_CUSTOM_BUS_SINCE = (1, 43, 102)


def lack(connector: Connector) -> str | None:
    """What the installed botocore lacks for a connector, and what to do; None if it lacks nothing."""
    if connector.destination.kind != "custom_bus" or _numbers(found := version("botocore")) >= _CUSTOM_BUS_SINCE:
        return None
    since = ".".join(map(str, _CUSTOM_BUS_SINCE))
    return (
        f"{connector.name}: botocore {found} does not know custom_bus; install boto3 {since} or newer, or send to an "
        "event_bus"
    )


def with_botocore(connectors: Connectors) -> Connectors:
    """The connectors without those that botocore lacks something for, which become faults."""
    lacks = {name: told for name, each in connectors.valid.items() if (told := lack(each))}
    valid = {name: each for name, each in connectors.valid.items() if name not in lacks}
    faults_of = {**connectors.faults_of, **{name: (told,) for name, told in lacks.items()}}
    return replace(connectors, valid=valid, faults=(*connectors.faults, *lacks.values()), faults_of=faults_of)


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(int(each) for each in release.split(".")[:3])
