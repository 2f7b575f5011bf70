"""Read a file from an HTTP server chosen by the caller, protected against server-side request forgery (SSRF).

A job's `source` is a URL of the caller's choice, and the job runs inside the private network, next to the platform's
metadata server. So a host name is resolved once, all of its addresses must be public, and the connection goes to one of
the checked addresses; DNS rebinding has no effect. Each redirect passes the same checks.
"""

import base64
import contextlib
import io
import socket
import ssl
import threading
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPResponse
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, Final
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from shared.errors import InvalidRequest

MAX_REDIRECTS: Final = 5
CONNECT_TIMEOUT_S: Final = 10.0
HEAD_TIMEOUT_S: Final = 30.0
IDLE_TIMEOUT_S: Final = 30.0
# The longest timeout of a job in functions.yaml, in seconds.
MAX_FETCH_S: Final = 1800.0

_PORTS: Final = {"http": 80, "https": 443}
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_METADATA_NAMES: Final = frozenset({"metadata", "metadata.google.internal", "metadata.goog", "instance-data"})
# In addition to link-local, multicast and reserved addresses: this network (RFC 1122), 6to4 relays (RFC 7526),
# site-local addresses (RFC 3879), IETF protocol assignments (RFC 6890, which include a metadata server's) and
# documentation (RFC 9637), both of which Python 3.11 considers public, and metadata servers outside the link-local
# ranges.
_NEVER: Final = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",
            "192.0.0.0/24",
            "192.88.99.0/24",
            "fec0::/10",
            "3fff::/20",
            "fd00:ec2::254/128",
            "fd20:ce::254/128",
            "100.100.100.200/32",
        ),
    )
)
# IPv6 addresses that stand for the IPv4 address in their last 32 bits: RFC 6052, and RFC 4291, section 2.5.5.1.
_LAST_32_BITS: Final = (ip_network("64:ff9b::/96"), ip_network("::/96"))
_SHARED: Final = ip_network("100.64.0.0/10")

Address = IPv4Address | IPv6Address


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 address leads to, or None."""
    if address.is_loopback or address.is_unspecified:
        return None
    if any(address in network for network in _LAST_32_BITS):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour


def is_permitted(address: Address, *, allow_private: bool) -> bool:
    """Return whether connecting to an address is permitted: it is public, or ``allow_private`` and it is private.

    Link-local, multicast, unspecified and reserved addresses, and those of metadata servers, are never permitted.
    """
    if isinstance(address, IPv6Address) and (embedded := _embedded(address)) is not None:
        return is_permitted(embedded, allow_private=allow_private)
    if address.is_loopback:
        return allow_private
    if address.is_link_local or address.is_multicast or address.is_unspecified or address.is_reserved:
        return False
    if any(address in network for network in _NEVER):
        return False
    return allow_private or (address.is_global and address not in _SHARED)


class NotModified(Exception):
    """The server answered 304: the file still matches the conditions."""


class HttpFile(io.RawIOBase):
    """The body of a response, read once from front to back. Reading raises InvalidRequest beyond a limit.

    etag, last_modified : the response's validators; None if the server sent none.
    """

    def __init__(self, connected: socket.socket, response: HTTPResponse, max_bytes: int) -> None:
        self.etag: str | None = response.headers.get("ETag")
        self.last_modified: str | None = response.headers.get("Last-Modified")
        self._connected, self._response, self._max_bytes = connected, response, max_bytes
        # A chunked body marks its end; any other body that ends early must not pass for a complete one.
        self._expected = None if response.chunked else response.length
        self._received = 0
        self._watch = _Watch(connected, MAX_FETCH_S)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with what has arrived; 0 at the end."""
        wanted = len(buffer)
        if self._expected is not None:
            wanted = min(wanted, self._expected - self._received)
        try:
            data = self._response.read1(wanted) if wanted else b""
        except OSError:
            # A server may reset a connection that the watch has ended.
            if not self._watch.has_ended:
                raise
            data = b""
        self._received += len(data)
        if self._watch.has_ended:
            raise InvalidRequest(f"source: not received completely within {MAX_FETCH_S:.0f} s.")
        if self._received > self._max_bytes:
            raise _too_large(self._max_bytes)
        if wanted and not data and self._expected is not None:
            raise InvalidRequest(f"source: ends after {self._received} of {self._expected} bytes.")
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the connection."""
        if not self.closed:
            self._watch.cancel()
            self._response.close()
            self._connected.close()
        super().close()


class _Watch:
    """Ends a connection after a total time, whatever it is waiting for.

    Timeouts of single reads do not suffice: a server that sends a byte now and then keeps resetting them.
    """

    def __init__(self, connected: socket.socket, seconds: float) -> None:
        self.has_ended = False
        self._socket = connected
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._timer.start()

    def _end(self) -> None:
        self.has_ended = True
        with contextlib.suppress(OSError):
            # Below TLS: the TLS socket's own method would change state that another thread is reading.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def cancel(self) -> None:
        self._timer.cancel()


def open_url(
    url: str,
    *,
    allow_private: bool,
    max_bytes: int,
    authorization: str | None = None,
    conditions: Mapping[str, str] | None = None,
) -> HttpFile:
    """Return the file at an http or https URL.

    ``authorization`` is sent only to the server that the URL names, ``conditions`` (If-None-Match, If-Modified-Since)
    to all. Raises NotModified if the server answers 304; InvalidRequest for an address that is not permitted, a
    redirect to another scheme, more than MAX_REDIRECTS redirects, or a body of more than ``max_bytes``;
    FileNotFoundError, OSError or HTTPException if no file is received.
    """
    first = parts = urlsplit(url)
    for _ in range(MAX_REDIRECTS + 1):
        # Credentials in the URL are for the server that it names, not for the target of a redirect.
        credentials = first if (parts.scheme, parts.netloc) == (first.scheme, first.netloc) else None
        headers = dict(conditions or {})
        if credentials is not None and authorization is not None:
            headers["Authorization"] = authorization
        connected, response = _request(parts, credentials, headers, allow_private=allow_private)
        try:
            if response.status == 304 and conditions:
                raise NotModified
            if response.status not in _REDIRECTS:
                return _file(connected, response, max_bytes)
            location = urlsplit(urljoin(parts.geturl(), response.headers.get("Location", "")))
        except BaseException:
            response.close()
            connected.close()
            raise
        response.close()
        connected.close()
        if location.scheme != first.scheme:
            raise InvalidRequest(
                f"source: redirects from {first.scheme}:// to {location.scheme[:20]}://. Name that address itself."
            )
        parts = location
    raise InvalidRequest(f"source: redirects more than {MAX_REDIRECTS} times.")


def _file(connected: socket.socket, response: HTTPResponse, max_bytes: int) -> HttpFile:
    if response.status in (404, 410):
        raise FileNotFoundError(response.status)
    if response.status != 200:
        raise OSError(f"the server answers {response.status}")
    if response.length is not None and response.length > max_bytes:
        raise _too_large(max_bytes)
    return HttpFile(connected, response, max_bytes)


def _too_large(max_bytes: int) -> InvalidRequest:
    return InvalidRequest(
        f"source: larger than {max_bytes // 1_048_576} MiB. Raise SOURCE_MAX_MB, or put it into a bucket (gs://)."
    )


def _request(
    parts: SplitResult, credentials: SplitResult | None, more_headers: Mapping[str, str], *, allow_private: bool
) -> tuple[socket.socket, HTTPResponse]:
    """Send a GET request; return the connection and the response, of which only the head has been read."""
    try:
        host, port = (parts.hostname or "").rstrip("."), parts.port or _PORTS[parts.scheme]
        host = host if host.isascii() else host.encode("idna").decode()
    except (ValueError, KeyError):
        raise InvalidRequest(f"source: {parts.geturl()[:200]!r} is not an http or https URL.") from None
    if not host:
        raise InvalidRequest("source: the URL names no host.")
    connected = _connect(host, port, allow_private=allow_private)
    if parts.scheme == "https":
        connected = ssl.create_default_context().wrap_socket(
            connected, server_hostname=host, do_handshake_on_connect=False
        )
    connected.settimeout(IDLE_TIMEOUT_S)
    connection = HTTPConnection(host, port)
    # Never reconnect: only this connection was checked.
    connection.auto_open = 0
    connection.sock = connected
    watch = _Watch(connected, HEAD_TIMEOUT_S)
    try:
        if isinstance(connected, ssl.SSLSocket):
            connected.do_handshake()
        name = f"[{host}]" if ":" in host else host
        headers = {
            "Host": name if port == _PORTS[parts.scheme] else f"{name}:{port}",
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            "Connection": "close",
            "User-Agent": "aisle",
            **more_headers,
        }
        if credentials is not None and credentials.username is not None:
            pair = f"{unquote(credentials.username)}:{unquote(credentials.password or '')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
        if parts.query:
            target += "?" + quote(parts.query, safe="/%:@!$&'()*+,;=~?[]")
        connection.request("GET", target, headers=headers)
        response = connection.getresponse()
        # Truncated headers look like complete ones.
        if watch.has_ended:
            raise TimeoutError
        return connected, response
    except BaseException as error:
        connection.close()
        connected.close()
        if watch.has_ended:
            raise TimeoutError(f"no answer within {HEAD_TIMEOUT_S:.0f} s") from error
        raise
    finally:
        watch.cancel()


def _connect(host: str, port: int, *, allow_private: bool) -> socket.socket:
    """Return a connection to one of the host's addresses, all of which are permitted.

    Raises InvalidRequest if any address is not permitted, FileNotFoundError if there is none or none accepts.
    """
    if host.lower() in _METADATA_NAMES:
        raise _refused(host)
    try:
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise FileNotFoundError(str(error)) from None
    # DNS may return a public and a private address; the private one would be tried once the public one fails.
    if not all(is_permitted(ip_address(entry[4][0]), allow_private=allow_private) for entry in entries):
        raise _refused(host)
    failure: OSError | None = None
    for family, kind, protocol, _name, address in entries:
        connected = socket.socket(family, kind, protocol)
        connected.settimeout(CONNECT_TIMEOUT_S)
        try:
            # A numeric address, so nothing is resolved again.
            connected.connect(address)
        except OSError as error:
            connected.close()
            failure = error
        else:
            return connected
    raise FileNotFoundError(str(failure))


def _refused(host: str) -> InvalidRequest:
    return InvalidRequest(
        f"source: {host[:200]} is not a public address. Put the file where it is public, or into a bucket (gs://); "
        "ALLOW_PRIVATE_SOURCES permits private addresses."
    )
