"""Global endpoints of classic buses: one address for the bus of the same name in two regions.

Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-global-endpoints.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from botocore.client import BaseClient
from botocore.exceptions import BotoCoreError, ClientError

from currents_aws.asked import pages
from currents_aws.aws_errors import AWS_ERRORS, code_of, translate
from currents_aws.scrub import scrubbed
from currents_core.errors import SetupError, TransientError
from currents_core.ports import Finding

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

_DENIED = frozenset({"AccessDenied", "AccessDeniedException"})
# Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_Endpoint.html
_ACTIVE = "ACTIVE"
_COMING = frozenset({"CREATING", "UPDATING"})


def address_of(client: BaseClient, endpoint_id: str) -> str:
    """The URL that botocore would send PutEvents of a global endpoint to, after the settings of ``client``.

    A URL that the client was given goes before the endpoint's own host.

    Raises SetupError if the settings exclude global endpoints, as FIPS does.
    """
    operation = client.meta.service_model.operation_model("PutEvents")
    try:
        url, *_ = cast(Any, client)._resolve_endpoint_ruleset(operation, {"EndpointId": endpoint_id}, {})
    except BotoCoreError as error:
        raise SetupError(
            f"it can't be addressed: {scrubbed(str(error))}; correct the Airflow connection (use_fips_endpoint, "
            "use_dualstack_endpoint), or remove endpoint_id",
            uri=f"global endpoint {endpoint_id}",
        ) from error
    return str(url)


def endpoint_found(client: EventBridgeClient, endpoint_id: str, bus_arn: str) -> Finding:
    """Looks a global endpoint up: whether it is there, ACTIVE, and has the bus of this ARN.

    It is a warning where looking it up is not permitted.

    Raises SetupError if it takes no events for the bus, TransientError if that may pass.

    Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_ListEndpoints.html
    """
    region = client.meta.region_name
    uri = f"global endpoint {endpoint_id} in {region}"
    try:
        found = next(
            (each for each in pages(client.list_endpoints, "Endpoints") if each.get("EndpointId") == endpoint_id), None
        )
    except AWS_ERRORS as error:
        if isinstance(error, ClientError) and code_of(error) in _DENIED:
            unknown = f"{uri} is not looked up; to have it checked before a run, grant events:ListEndpoints"
            return Finding("endpoint", unknown, is_warning=True)
        raise translate(error, "lookup failed", uri) from error
    if found is None:
        raise SetupError(
            "there is none of this account; correct endpoint_id, or set region to the primary region of the endpoint",
            uri=uri,
        )
    _require_active(found, uri)
    buses = [each["EventBusArn"] for each in found["EventBuses"]]
    if bus_arn not in buses:
        raise SetupError(
            f"it is for {' and '.join(buses)}, not for {bus_arn}; correct endpoint_id or the name of the bus", uri=uri
        )
    return Finding("endpoint", f"{endpoint_id} is ACTIVE, and has {bus_arn}")


def _require_active(endpoint: Mapping[str, Any], uri: str) -> None:
    state = scrubbed(str(endpoint.get("State")))
    if state in _COMING:
        raise TransientError(f"it is {state}; wait until it is ACTIVE, then clear the task", uri=uri)
    if state != _ACTIVE:
        reason = scrubbed(str(endpoint.get("StateReason") or "no reason told"))
        raise SetupError(f"it is {state} ({reason}); mend or create it anew, or remove endpoint_id", uri=uri)
