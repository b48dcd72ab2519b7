"""The settings of a boto3 client that AWS's Common Runtime needs, and whether the runtime supports all of them.

The runtime reads no settings itself here. Endpoint, certificates, proxy, timeouts and credentials are those that
botocore resolved for the client from its Config, the Airflow connection, the environment and AWS's files. Some of them
are private attributes of botocore; tests check that the installed version has them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from awscrt.http import HttpProxyAuthenticationType, HttpProxyOptions
from awscrt.io import ClientTlsContext, SocketOptions, TlsContextOptions
from botocore.client import BaseClient
from botocore.httpsession import URLLib3Session, get_cert_path

from currents_aws.aws_protocol import PROTOCOLS
from currents_core.errors import SetupError

# The timeout in seconds if botocore is told to wait forever.
_WITHOUT_END = 86_400.0


def crt_refusal(client: BaseClient, global_url: str = "") -> str | None:
    """Why requests of ``client`` can't go through the Common Runtime, in words for a log line; None if they can.

    ``global_url`` is the address of a global endpoint, if they go to one.

    Raises SetupError if the CA bundle does not exist or can't be read.
    """
    return next(_refusals(client, global_url or client.meta.endpoint_url), None)


def _refusals(client: BaseClient, url: str) -> Iterator[str]:
    model, session = client.meta.service_model, _session(client)
    config: Any = client.meta.config
    if model.resolved_protocol not in PROTOCOLS:
        yield f"{model.service_name} speaks {model.resolved_protocol}, neither JSON nor CBOR"
    if config.signature_version != "v4":
        yield f"requests are signed with {config.signature_version}, not Signature Version 4 (signature_version)"
    if config.client_cert:
        yield "the client has a certificate (client_cert)"
    if config.proxies_config:
        yield "the proxy has settings of its own (proxies_config)"
    if not isinstance(session, URLLib3Session):
        yield f"the client has an HTTP session of its own ({type(session).__name__})"
    elif _proxy_url(client, url).startswith("https:"):
        yield "the proxy itself is reached over TLS"
    elif url.startswith("https:"):
        yield from _bundle_refusal(client)


def _bundle_refusal(client: BaseClient) -> Iterator[str]:
    try:
        _tls(client)
    except RuntimeError:
        yield "the Common Runtime can't read the CA bundle (verify, AWS_CA_BUNDLE)"


class CrtSettings:
    """Where and how requests of ``client`` are sent. Timeouts are in seconds.

    With a ``global_url`` they go there, which is the address of a global endpoint, and are signed for all regions.

    Raises SetupError if the CA bundle can't be read.
    """

    def __init__(self, client: BaseClient, global_url: str = "") -> None:
        address = global_url or client.meta.endpoint_url
        url = urlsplit(address)
        config: Any = client.meta.config
        self.secure = url.scheme == "https"
        self.is_global = bool(global_url)
        self.host, self.port = _host_and_port(url)
        # The default port must not be in the Host header, or the signature would differ.
        default = 443 if self.secure else 80
        name = f"[{self.host}]" if ":" in self.host else self.host
        self.host_header = name if self.port == default else f"{name}:{self.port}"
        # An operation of CBOR's protocol has a path of its own, below this.
        self.path = f"{url.path.rstrip('/')}/"
        self.connect_timeout = float(config.connect_timeout or _WITHOUT_END)
        self.read_timeout = float(config.read_timeout or _WITHOUT_END)
        self.tls = _tls(client) if self.secure else None
        self.proxy = _proxy(_proxy_url(client, address))
        self.socket = SocketOptions()
        self.socket.connect_timeout_ms = max(1, int(self.connect_timeout * 1000))
        self.socket.keep_alive = bool(config.tcp_keepalive)


def _session(client: BaseClient) -> Any:
    endpoint: Any = vars(client)["_endpoint"]
    return endpoint.http_session


def _proxy_url(client: BaseClient, url: str) -> str:
    """The URL of the proxy that botocore would use to reach ``url``, after NO_PROXY; empty if none."""
    return _session(client)._proxy_config.proxy_url_for(url) or ""


def _proxy(proxy_url: str) -> HttpProxyOptions | None:
    if not proxy_url:
        return None
    url = urlsplit(proxy_url)
    host, port = _host_and_port(url)
    if not (url.username and url.password):
        return HttpProxyOptions(host, port)
    return HttpProxyOptions(
        host,
        port,
        auth_type=HttpProxyAuthenticationType.Basic,
        auth_username=unquote(url.username),
        auth_password=unquote(url.password),
    )


def _host_and_port(url: SplitResult) -> tuple[str, int]:
    return url.hostname or "", url.port or (443 if url.scheme == "https" else 80)


def _tls(client: BaseClient) -> ClientTlsContext:
    """The TLS settings of connections.

    Raises SetupError if the CA bundle can't be read, RuntimeError if the runtime can't parse it.
    """
    verify = _session(client)._verify
    options = TlsContextOptions()
    options.verify_peer = bool(verify)
    if verify:
        bundle: Any = get_cert_path(verify)
        try:
            options.override_default_trust_store(Path(bundle).read_bytes())
        except OSError as error:
            raise SetupError(
                f"reading the CA bundle failed: {error}; correct `verify` or AWS_CA_BUNDLE", uri=bundle
            ) from error
    return ClientTlsContext(options)
