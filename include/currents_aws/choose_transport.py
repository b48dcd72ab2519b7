"""Chooses the transport for the requests of a boto3 client."""

from __future__ import annotations

import logging

from botocore.client import BaseClient

from currents_aws.boto3_transport import Boto3Transport
from currents_aws.crt_settings import crt_refusal
from currents_aws.crt_transport import CrtTransport
from currents_aws.transport import Transport

log = logging.getLogger(__name__)


def transport_for(client: BaseClient) -> Transport:
    """The fast transport, or boto3 if only that supports the settings of the client; one log line then says why.

    Raises SetupError if the CA bundle can't be read.
    """
    refusal = crt_refusal(client)
    if refusal is None:
        return CrtTransport(client)
    log.info("sending through boto3, which takes about ten times the CPU, because %s", refusal)
    return Boto3Transport(client)
