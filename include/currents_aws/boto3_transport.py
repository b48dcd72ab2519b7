"""Requests through a plain boto3 client, one thread each. Slow, but it supports every setting that boto3 does."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from botocore import xform_name
from botocore.client import BaseClient
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ProxyConnectionError,
    SSLError,
)

from currents_aws.aws_errors import code_of, translate
from currents_aws.aws_protocol import UNREADABLE, parameters
from currents_aws.transport import Answer, Completion, NoAnswer
from currents_core.errors import CurrentsError

_NEVER_SENT = (EndpointConnectionError, ConnectTimeoutError, ProxyConnectionError, SSLError)


class Boto3Transport:
    """Carries requests of the service of ``client``, up to ``threads`` at a time.

    There are never more than the client keeps connections for (botocore's `max_pool_connections`), because it would
    open and drop a connection for every request beyond that. The client must try each request only once
    (`retries={"total_max_attempts": 1}`): the sender decides what is tried again.
    """

    def __init__(self, client: BaseClient, threads: int = 16) -> None:
        self._client = client
        config: Any = client.meta.config
        self.in_flight = min(threads, config.max_pool_connections)
        self._threads = ThreadPoolExecutor(self.in_flight, thread_name_prefix="boto3-transport")

    def send(self, operation: str, body: bytes, complete: Completion) -> None:
        """Starts one request; see ``Transport``."""
        try:
            call = self._threads.submit(self._call, operation, body)
        except RuntimeError:
            complete(NoAnswer("Closed", maybe_accepted=False))
            return
        call.add_done_callback(partial(self._complete, operation, complete))

    def close(self) -> None:
        """Closes every connection after waiting for requests under way, which takes their read timeout at most."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._client.close()

    def _call(self, operation: str, body: bytes) -> Answer | NoAnswer:
        output = getattr(self._client, xform_name(operation))(**parameters(self._client.meta.service_model, body))
        about = output.pop("ResponseMetadata", {})
        shape = self._client.meta.service_model.operation_model(operation).output_shape
        # botocore reads a response that is not JSON as an empty output.
        if not output and shape and shape.members:
            return UNREADABLE
        return Answer(about.get("HTTPStatusCode", 200), output)

    def _complete(self, operation: str, complete: Completion, call: Future[Answer | NoAnswer]) -> None:
        # A future catches every kind of failure, and always calls back.
        if call.cancelled():
            complete(NoAnswer("Closed", maybe_accepted=False))
            return
        error = call.exception()
        complete(call.result() if error is None else self._failure(operation, error))

    def _failure(self, operation: str, error: BaseException) -> Answer | NoAnswer | CurrentsError:
        if isinstance(error, ClientError) and error.operation_name == operation:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            return Answer(status, code=code_of(error), message=str(error.response.get("Error", {}).get("Message", "")))
        if isinstance(error, _NEVER_SENT):
            return NoAnswer(type(error).__name__, maybe_accepted=False)
        if isinstance(error, HTTPClientError) or not isinstance(error, BotoCoreError | ClientError):
            return NoAnswer(type(error).__name__, maybe_accepted=True)
        # Anything else happened before the request, such as a role that can't be assumed.
        return translate(error, "call failed", f"{operation} in {self._client.meta.region_name}")
