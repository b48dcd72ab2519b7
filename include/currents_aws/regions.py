"""What botocore knows of AWS's regions. A release of botocore does not know what AWS opens later."""

from __future__ import annotations

from botocore import __version__ as version
from botocore.session import get_session

from currents_core.setup.faults import did_you_mean

CUSTOM_BUSES = "eventbridgev2"


def why_silent(service: str, region: str) -> str | None:
    """Why nothing answers for a service of boto3's in a region: there is no such region, or it lacks the service.

    None if it should be there. Only ask where nothing answered: what answers is there, whatever botocore knows.
    """
    if region in (known := _regions(service)):
        return None
    if service != CUSTOM_BUSES or region not in (all_regions := _regions("events")):
        near = did_you_mean(region, known if service != CUSTOM_BUSES else all_regions)
        return (
            f"botocore {version} knows no region {region}{near}; correct destination.region, or update botocore and "
            "mend the network if AWS has opened it since"
        )
    return (
        f"botocore {version} knows no custom buses in {region}, only in {', '.join(known)}; use one of these regions, "
        "or send to an event_bus"
    )


def _regions(service: str) -> list[str]:
    session = get_session()
    partitions = session.get_available_partitions()
    return [region for each in partitions for region in session.get_available_regions(service, each)]
