"""Chooses the transport for the requests of a boto3 client."""

from __future__ import annotations

import logging

from botocore.client import BaseClient

from currents_aws.boto3_transport import Boto3Transport
from currents_aws.crt_settings import crt_refusal
from currents_aws.crt_transport import CrtTransport
from currents_aws.global_endpoint import address_of
from currents_aws.transport import Transport

log = logging.getLogger(__name__)


def transport_for(client: BaseClient, endpoint_id: str | None = None) -> Transport:
    """The fast transport, or boto3 if only that supports the settings of the client; one log line then says why.

    With an ``endpoint_id`` every request goes to that global endpoint, and must name it.

    Raises SetupError if the CA bundle can't be read, or the settings exclude global endpoints.
    """
    global_url = address_of(client, endpoint_id) if endpoint_id else ""
    refusal = crt_refusal(client, global_url)
    if refusal is None:
        return CrtTransport(client, global_url=global_url)
    log.info("sending through boto3, which takes about ten times the CPU, because %s", refusal)
    return Boto3Transport(client)
