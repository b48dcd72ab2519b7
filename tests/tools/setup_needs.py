"""The permissions that the calls need which set destinations up.

They are those of AWS's Service Authorization Reference:
https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.tools.global_endpoints import ACCOUNT
from tests.tools.iam import Need

_ARCHIVE = "{events}archive/{ArchiveName}"
_SOURCE = "arn:aws:events:{region}::event-source/{Name}"
_REGISTRY, _SCHEMA = "{schemas}registry/{RegistryName}", "{schemas}schema/{RegistryName}/{SchemaName}"
# CloudWatch wants this ending: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/iam-access-control-overview-cwl.html
_LOG_GROUP = "{logs}log-group:{logGroupName}:*"

# What each operation is on. ARNs begin with the name of their service, and hold parameters of the call.
_ON: dict[str, dict[str, tuple[str, ...]]] = {
    "events": {
        "CreateArchive": (_ARCHIVE, "{EventSourceArn}"),
        "DescribeArchive": (_ARCHIVE,),
        "UpdateArchive": (_ARCHIVE,),
        "PutRule": ("{events}rule/{EventBusName}/{Name}",),
        "PutTargets": ("{events}rule/{EventBusName}/{Rule}",),
        "CreatePartnerEventSource": (_SOURCE,),
        "DeletePartnerEventSource": (_SOURCE,),
        # It knows no resource of it, so a policy can't name one source.
        "PutPartnerEvents": ("*",),
        "ListPartnerEventSourceAccounts": ("arn:aws:events:{region}::event-source/{EventSourceName}",),
        "DescribeEventSource": (_SOURCE,),
        "ActivateEventSource": (_SOURCE,),
    },
    # The second generation has the prefix of the first: https://docs.aws.amazon.com/eventbridgev2/latest/APIReference
    "eventbridgev2": {
        "CreateEventBus": ("{events}event-busv2/{Name}/*",),
        "DescribeEventBus": ("{EventBusArn}",),
        "ListEventBuses": ("*",),
        "ListSubscribers": ("*",),
        "PutEvents": ("{EventBusArn}",),
    },
    "schemas": {
        "DescribeRegistry": (_REGISTRY,),
        "CreateRegistry": (_REGISTRY,),
        "DescribeSchema": (_SCHEMA,),
        "CreateSchema": (_SCHEMA,),
        "UpdateSchema": (_SCHEMA,),
        "ListDiscoverers": ("{schemas}discoverer/*",),
        "CreateDiscoverer": ("{schemas}discoverer/*",),
        "StartDiscoverer": ("{schemas}discoverer/{DiscovererId}",),
    },
    "logs": {
        "CreateLogGroup": (_LOG_GROUP,),
        "PutRetentionPolicy": (_LOG_GROUP,),
        "DescribeLogGroups": ("*",),
        "PutResourcePolicy": ("*",),
    },
    # It needs no permission: https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
    "sts": {"GetCallerIdentity": ()},
}
_PREFIXES = {"eventbridgev2": "events"}


def setup_needs(service: str, operation: str, region: str, params: Mapping[str, Any]) -> Iterator[Need]:
    """The permissions that a call takes. Raises LookupError for an operation of which they are not known here."""
    if operation not in _ON.get(service, {}):
        raise LookupError(f"which permission does {service}.{operation} need?")
    arns = {name: f"arn:aws:{name}:{region}:{ACCOUNT}:" for name in ("events", "schemas", "logs")}
    for resource in _ON[service][operation]:
        yield Need(f"{_PREFIXES.get(service, service)}:{operation}", resource.format(**arns, region=region, **params))
    if operation == "CreateDiscoverer":
        # Discovery has a rule on the bus: AWS's own policy AmazonEventBridgeSchemasFullAccess has these for it.
        bus = params["SourceArn"].partition(":event-bus/")[2]
        for step in ("PutRule", "PutTargets"):
            yield Need(f"events:{step}", f"{arns['events']}rule/{bus}/Schemas-events")
