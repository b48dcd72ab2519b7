"""Signs requests in AWS's Common Runtime with the credentials of a boto3 client."""

from __future__ import annotations

import hashlib
from io import BytesIO
from typing import Any, NamedTuple, cast

from awscrt.auth import AwsCredentialsProvider, AwsSigningAlgorithm, AwsSigningConfig, aws_sign_request
from awscrt.http import HttpHeaders, HttpRequest
from botocore.client import BaseClient
from botocore.exceptions import NoCredentialsError

from currents_aws.aws_protocol import Operation
from currents_aws.crt_settings import CrtSettings


class _Known(NamedTuple):
    """Credentials, and the provider that gives them to the runtime: a pair, so that no thread sees half of a change."""

    credentials: Any
    provider: AwsCredentialsProvider


class CrtSigner:
    """Builds and signs requests for the service of ``client``. Safe to share between threads."""

    def __init__(self, client: BaseClient, settings: CrtSettings) -> None:
        model = client.meta.service_model
        config: Any = client.meta.config
        self._credentials = cast(Any, client)._get_credentials()
        self._algorithm, self._region = AwsSigningAlgorithm.V4, client.meta.region_name
        if settings.is_global:
            # Any of its regions may take a request.
            self._algorithm = AwsSigningAlgorithm.V4_ASYMMETRIC
            self._region = config.sigv4a_signing_region_set or "*"
        self._service = model.signing_name
        self._path = settings.path
        self._headers = (("Host", settings.host_header), ("User-Agent", config.user_agent))
        self._known: _Known | None = None

    def request(self, operation: Operation, body: bytes) -> HttpRequest:
        """A signed request. Raises botocore's error if there are no credentials, or if they can't be renewed."""
        provider = self._provider()
        headers = HttpHeaders([*self._headers, *operation.headers, ("Content-Length", str(len(body)))])
        request = HttpRequest("POST", self._path + operation.path, headers, BytesIO(body))
        config = AwsSigningConfig(
            algorithm=self._algorithm,
            credentials_provider=provider,
            region=self._region,
            service=self._service,
            # Otherwise the runtime would read the whole body through Python just to hash it.
            signed_body_value=hashlib.sha256(body).hexdigest(),
        )
        # With static credentials the runtime signs at once, so this does not wait.
        aws_sign_request(request, config).result()
        return request

    def _provider(self) -> AwsCredentialsProvider:
        """The provider of the current credentials, which botocore renews before they expire."""
        if self._credentials is None:
            raise NoCredentialsError
        now, known = self._credentials.get_frozen_credentials(), self._known
        if known is None or known.credentials != now:
            provider = AwsCredentialsProvider.new_static(now.access_key, now.secret_key, now.token)
            known = self._known = _Known(now, provider)
        return known.provider
