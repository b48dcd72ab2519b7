"""Checks before a run, by which a setup that can't work is found before anything is read: one line for each of them.

Whose identity it is, whether the destination is there, whether events may be sent, and how fast.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from botocore.exceptions import ClientError

from currents_aws.aws_errors import AWS_ERRORS, code_of, translate
from currents_aws.regions import CUSTOM_BUSES, why_silent
from currents_aws.scrub import scrubbed
from currents_core.counted import counted
from currents_core.entry import Common
from currents_core.errors import SetupError, TransientError
from currents_core.ports import Finding, Target
from currents_core.setup.settings import Connector
from currents_core.shaping.event_schema import exported_types

# "PutEvents throttle limit in transactions per second".
# Source: https://docs.aws.amazon.com/general/latest/gr/ev.html
_SERVICE, _PUT_EVENTS = "events", "L-9B653E91"
# Errors by which STS says that the credentials are none. Others may come from an endpoint that is not STS's, or not
# reached, and are no reason to send nothing.
_NO_CREDENTIALS = frozenset(
    {
        "InvalidClientTokenId",
        "InvalidAccessKeyId",
        "UnrecognizedClientException",
        "ExpiredToken",
        "ExpiredTokenException",
    }
)
_RESOURCE = "arn:aws:s3:::bucket/key"

Clients = Callable[[str], Any]


def preflight(connector: Connector, target: Target, clients: Clients, *, tries: bool = True) -> Iterator[Finding]:
    """Checks a connector's destination, and tells each finding at once: at most four requests in all.

    ``target`` is the destination. ``clients`` makes a boto3 client of a service, with the rights by which events are
    sent; the requests of these two clients should have short timeouts. Only if it ``tries`` does it send an entry that
    EventBridge refuses, to see whether it may.

    Raises SetupError if the export can't work until somebody changes the setup, TransientError if that may pass.
    """
    destination = connector.destination
    yield identity(clients("sts"), destination.aws_conn_id)
    try:
        yield from target.preflight(_probes(connector) if tries else ())
    except TransientError as error:
        service = CUSTOM_BUSES if destination.kind == "custom_bus" else "events"
        # An error with a code was answered, so there is somebody.
        why = None if error.code else why_silent(service, destination.region)
        if why is None:
            raise
        raise SetupError(f"no answer: {why}", uri=error.uri) from error
    if destination.quota is not None:
        yield quota(clients("service-quotas"), connector, destination.quota)


def identity(client: Any, conn_id: str | None) -> Finding:
    """Whose rights are used, without the name of the session, which often is a person's. That takes no permission.

    ``client`` is of the service `sts`; its credentials come from the Airflow connection ``conn_id``. Raises SetupError
    if there are none that are valid.

    Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
    """
    whose = f"Airflow connection {conn_id}" if conn_id else "the machine's own credentials (aws_conn_id: null)"
    try:
        told = client.get_caller_identity()
    except AWS_ERRORS as error:
        fault = translate(error, "they can't be used", whose)
        is_answered = isinstance(error, ClientError)
        if isinstance(fault, SetupError) and (fault.code in _NO_CREDENTIALS or not is_answered):
            raise fault from error
        return Finding("identity", f"not told by STS ({fault.code or 'no answer'}); {whose}")
    arn = str(told.get("Arn", ""))
    is_role = ":assumed-role/" in arn
    return Finding("identity", f"{scrubbed(arn.rpartition('/')[0] if is_role else arn)}, from {whose}")


def quota(client: Any, connector: Connector, published: int) -> Finding:
    """How many PutEvents requests the account may make, against the connector's budget.

    ``client`` is of the service `service-quotas`; ``published`` is the default. Raises SetupError if it may make none.

    Source: https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_GetServiceQuota.html
    """
    region = connector.destination.region
    requests, entries = connector.rates
    # A request has at least one entry.
    budget = min(each for each in (requests, entries) if each is not None)
    takes = f"the budget takes {_requests(budget)}"
    try:
        told = client.get_service_quota(ServiceCode=_SERVICE, QuotaCode=_PUT_EVENTS)["Quota"]["Value"]
    except (*AWS_ERRORS, LookupError) as error:
        code = scrubbed(code_of(error)) if isinstance(error, ClientError) else "no answer"
        assumed = f"assumed to be the published default of {region}, {_requests(published)}"
        return Finding("quota", f"{assumed}, because Service Quotas did not tell ({code}); {takes}")
    if told <= 0:
        raise SetupError(
            f"the account may make no PutEvents requests: its quota {_PUT_EVENTS} is 0; ask AWS for more, in the "
            "console of Service Quotas",
            uri=f"EventBridge in {region}",
        )
    found = f"{_requests(told)} in {region}; {takes}"
    if budget > told:
        found += ", which is more: EventBridge will throttle; lower the budget, or ask AWS for more"
    elif connector.budget.requests_per_second is None and told > published:
        found += (
            f", a share of the published default of {_requests(published)}; to use more, set requests_per_second in it"
        )
    return Finding("quota", found, is_warning=budget > told)


def _requests(rate: float) -> str:
    return f"{counted(round(rate), 'PutEvents request')} a second"


def _probes(connector: Connector) -> list[Common]:
    """What the first and the last event type that the connector exports have in common with its events.

    A policy may allow or deny single event types.
    """
    wanted = exported_types(connector) or ["currents.Probe"]
    return [Common(connector.event_source, each, _RESOURCE) for each in dict.fromkeys((wanted[0], wanted[-1]))]
