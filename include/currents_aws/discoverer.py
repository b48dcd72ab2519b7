"""Has EventBridge discover the schemas of what a bus receives.

Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-schema-infer.html
"""

from __future__ import annotations

from typing import Any, Literal

from currents_aws.asked import asked


def discover_schemas(client: Any, bus: str) -> Literal["created", "started", "unchanged"]:
    """Creates the discoverer of the bus with this ARN, or starts it. Returns what was done.

    ``client`` is one of the service `schemas`. Raises SetupError if AWS refuses, TransientError if it may work later.
    """
    uri = f"schema discoverer of {bus}"
    # A bus has one at most. If somebody creates it in between, it is found at the second look.
    for _ in range(2):
        # The source is a prefix: another bus may have a longer name that begins so.
        listed = asked(client.list_discoverers, uri, "lookup failed", SourceArnPrefix=bus)["Discoverers"]
        found = next((each for each in listed if each["SourceArn"] == bus), None)
        if found and found["State"] == "STARTED":
            return "unchanged"
        if found:
            asked(client.start_discoverer, uri, "start failed", DiscovererId=found["DiscovererId"])
            return "started"
        if asked(client.create_discoverer, uri, "creation failed", "ConflictException", SourceArn=bus):
            return "created"
    return "unchanged"
