"""The connections of one process to S3, made by the rules that botocore keeps for its own."""

import os
from urllib.parse import urlsplit

import urllib3
from botocore.httpsession import ProxyConfiguration, create_urllib3_context, get_cert_path
from botocore.session import Session
from botocore.utils import get_environ_proxies

from wsi_streamer.errors import ConfigError, StorageError
from wsi_streamer.storage.http_pool import POOLS, KeptPool


class S3Pool:
    """Keeps at most `max_connections` to each host alive; whoever needs more waits for one.

    Certificates and proxies come from where botocore takes them: AWS_CA_BUNDLE and `ca_bundle`
    of the configuration, REQUESTS_CA_BUNDLE, HTTPS_PROXY, NO_PROXY and their like. Raises
    ConfigError for a urllib3 that is older than what this was tried with.
    """

    def __init__(self, session: Session, max_connections: int) -> None:
        if not hasattr(urllib3.HTTPResponse, "read1"):
            raise ConfigError("urllib3 is too old: version 2.2.1 or newer is needed")
        self._ca_bundle = session.get_config_variable("ca_bundle")
        self._max_connections = max_connections
        self._managers: dict[tuple[str, str | None], urllib3.PoolManager] = {}

    def place(self, url: str) -> tuple[KeptPool, str]:
        """Return the connections on which to ask for a URL, and what to name it on them."""
        parts = urlsplit(url)
        proxies = ProxyConfiguration(get_environ_proxies(url))
        proxy = proxies.proxy_url_for(url)
        kind = (parts.scheme, proxy)
        if kind not in self._managers:
            self._managers[kind] = self._make_manager(parts.scheme, proxy, proxies)
        pool = self._managers[kind].connection_from_url(url)
        if not isinstance(pool, KeptPool):
            raise StorageError("urllib3 gave a pool of another kind")
        # A proxy must be told the host; TLS goes through it to the host itself.
        forwarded = proxy is not None and parts.scheme == "http"
        pool.tunnels = proxy is not None and not forwarded
        return pool, url if forwarded else f"{parts.path}?{parts.query}".removesuffix("?")

    def _make_manager(
        self, scheme: str, proxy: str | None, proxies: ProxyConfiguration
    ) -> urllib3.PoolManager:
        context = None
        if scheme == "https":
            context = create_urllib3_context()
            try:
                context.load_verify_locations(cafile=self._certificates())
            except OSError as exc:
                raise StorageError("the certificates of AWS_CA_BUNDLE cannot be read") from exc
        if proxy is None:
            manager = urllib3.PoolManager(
                maxsize=self._max_connections, block=True, ssl_context=context
            )
        else:
            manager = urllib3.ProxyManager(
                proxy,
                proxy_headers=proxies.proxy_headers_for(proxy),
                maxsize=self._max_connections,
                block=True,
                ssl_context=context,
            )
        manager.pool_classes_by_scheme = POOLS
        return manager

    def _certificates(self) -> str | None:
        # The order of botocore (EndpointCreator._get_verify_value).
        bundle: str | None = self._ca_bundle or os.environ.get("REQUESTS_CA_BUNDLE")
        return bundle or get_cert_path(True)
