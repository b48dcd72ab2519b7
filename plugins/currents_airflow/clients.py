"""Makes boto3 clients from Airflow's connections, which set credentials, endpoints, proxies and retries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from currents_airflow.connections import find_connection
from currents_core.errors import SetupError
from currents_core.setup.settings import Connector, Location

if TYPE_CHECKING:
    from airflow.sdk import Connection
    from botocore.config import Config

    from currents_aws.s3 import S3Objects

# As many as threads share a client. Each one above botocore's ten would be opened and closed for every request, and
# tell so in the log.
_S3_CONNECTIONS = 32
# How long a conditional write may take. Whoever makes it would rather know, and look what became of it.
_SWAP_SECONDS = 4


def aws_hook(service: str, conn_id: str | None, region: str | None = None, verify: bool | str | None = None) -> Any:
    """The Amazon provider's hook for a service. It raises SetupError where there is no such connection.

    The provider's own would go on with the machine's credentials, and act with somebody else's rights.
    """
    from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook

    class Hook(AwsBaseHook):
        @classmethod
        def get_connection(cls, conn_id: str) -> Connection:
            found = find_connection(conn_id)
            if not found:
                raise SetupError(f"there is no Airflow connection {conn_id}; create it, or correct its name")
            return found

    return Hook(aws_conn_id=conn_id, region_name=region, verify=verify, client_type=service)


def aws_client(
    service: str, conn_id: str | None, region: str, verify: bool | str | None, config: Config | None = None
) -> Any:
    """A client of a service. ``verify`` sets how its TLS certificate is checked; None leaves it to the connection.

    Raises SetupError if the connection has no credentials, such as those of a role that can't be assumed.
    """
    from botocore.exceptions import ClientError

    from currents_aws.aws_errors import translate

    hook = aws_hook(service, conn_id, region, verify)
    try:
        return hook.get_client_type(config=hook.config.merge(config) if config else None)
    except ClientError as error:
        raise translate(error, "no credentials", f"Airflow connection {conn_id}") from error


def sending_client(connector: Connector, service: str, verify: bool | str | None, **settings: Any) -> Any:
    """A client for a connector's destination which tries each request once; ``settings`` are of botocore's Config."""
    from botocore.config import Config

    destination = connector.destination
    # The sender has its own retries, which know single entries; two layers of them would multiply. Of a custom bus,
    # boto3 would call the host of its account, and the fast transport that of the region.
    config = Config(retries={"total_max_attempts": 1}, account_id_endpoint_mode="disabled", **settings)
    return aws_client(service, destination.aws_conn_id, destination.region, verify, config)


def objects_at(location: Location, apart: Iterable[str] = ()) -> S3Objects:
    """The bucket of a location, under its Airflow connection, without what is in the folders ``apart``."""
    from botocore.config import Config

    from currents_aws.s3 import S3Objects

    hook = aws_hook("s3", location.aws_conn_id)
    config = Config(max_pool_connections=_S3_CONNECTIONS).merge(hook.config)
    once = config.merge(
        Config(retries={"total_max_attempts": 1}, connect_timeout=_SWAP_SECONDS, read_timeout=_SWAP_SECONDS)
    )
    return S3Objects(hook.get_client_type(config=config), location.bucket, hook.get_client_type(config=once), apart)
