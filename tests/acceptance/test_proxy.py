"""Debian's Caddy and nginx serve a whole Sentinel by TLS: what passes, what is told, and what a client cannot say."""

import json
import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
import requests

from app.clock import system_clock
from app.services import keys
from bench.stateful.filling import opened
from tests.acceptance.ports import HOST
from tests.acceptance.proxies import CADDY, NAME, NGINX, Caddy, Nginx, Proxy, caddy, need
from tests.acceptance.stack import Stack
from tests.acceptance.waiting import wait_until

pytestmark = pytest.mark.acceptance

BASE = f"https://{NAME}"
FAILURES = 3
ENV = {
    "SENTINEL_AUTH": "keys",
    "SENTINEL_PROXIES": "1",
    "SENTINEL_TRUSTED_HOSTS": NAME,
    # One process, so that a limit is what it says.
    "SENTINEL_API_WORKERS": "1",
    "SENTINEL_RATE_LIMIT_FAILURES": f"{FAILURES}/hour",
}
MAX_BATCH = 16 * 1024 * 1024
NDJSON = {"Content-Type": "application/x-ndjson"}
LINE = json.dumps({"type": "order", "note": "x" * 8000}).encode() + b"\n"
SAID = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "X_Forwarded_For")


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    need(CADDY, NGINX)
    with Stack(ENV, start=("api",)) as running:
        yield running


@pytest.fixture(scope="module")
def key(stack: Stack) -> str:
    """Of an admin."""
    with opened(stack) as session:
        _, text = keys.create(session, "Ada", ["admin"], system_clock())
        session.commit()
    return text


@pytest.fixture(scope="module", params=[Caddy, Nginx])
def proxy(request: pytest.FixtureRequest, stack: Stack) -> Iterator[Proxy]:
    with request.param(stack.api_url.removeprefix("http://")) as running:
        yield running


@pytest.fixture(scope="module")
def caddy_alone(stack: Stack) -> Iterator[Caddy]:
    with Caddy(stack.api_url.removeprefix("http://")) as running:
        yield running


def signed(proxy: Proxy, key: str) -> requests.Session:
    """A client with a key."""
    client = proxy.client()
    client.headers["Authorization"] = f"Bearer {key}"
    return client


def head(key: str, length: int, *more: str) -> bytes:
    """The beginning of a request that brings a batch."""
    lines = (
        "POST /events HTTP/1.1",
        f"Host: {NAME}",
        f"Authorization: Bearer {key}",
        "Content-Type: application/x-ndjson",
        f"Content-Length: {length}",
        "Connection: close",
        *more,
    )
    return "\r\n".join([*lines, "", ""]).encode()


def test_an_event_is_accepted_by_tls_and_is_where_its_location_leads(
    proxy: Proxy, key: str
) -> None:
    client = signed(proxy, key)
    accepted = client.post(f"{BASE}/events", json={"type": "order"})
    assert accepted.status_code == HTTPStatus.ACCEPTED
    assert accepted.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert accepted.headers["Server"].partition("/")[0].lower() == proxy.program.name
    place = urljoin(accepted.url, accepted.headers["Location"])
    assert place.startswith(f"{BASE}/events/")
    assert client.get(place).json()["id"] == accepted.json()["id"]


def test_the_certificate_is_the_name_s_and_no_other_s(proxy: Proxy) -> None:
    stranger = proxy.client()
    stranger.verify = True
    with pytest.raises(requests.exceptions.SSLError, match=r"self.signed|unable to get local"):
        stranger.get(f"{BASE}/healthz")


def test_who_signs_in_gets_a_cookie_that_goes_by_tls_alone(proxy: Proxy, key: str) -> None:
    browser = proxy.client()
    page = browser.get(f"{BASE}/console/sign-in")
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', page.text)
    assert found is not None
    form = {"csrf": found[1], "key": key}
    done = browser.post(
        page.url, data=form, headers={"Origin": BASE}, timeout=60, allow_redirects=False
    )
    assert (done.status_code, done.headers["Location"]) == (HTTPStatus.SEE_OTHER, "/")
    name, *words = re.split("=|; ", done.headers["Set-Cookie"])
    assert name == "__Host-sentinel"
    assert {"Secure", "HttpOnly", "Path", "/", "SameSite", "Strict"} <= set(words)
    assert "Domain" not in words
    inside = browser.get(urljoin(page.url, done.headers["Location"]))
    assert (inside.status_code, inside.url) == (HTTPStatus.OK, f"{BASE}/")


@pytest.mark.parametrize("path", ["/", "/console/rules?mode=live", "/events", "/metrics"])
def test_plain_http_only_says_where_to_go(proxy: Proxy, path: str) -> None:
    answer = proxy.client().post(f"http://{NAME}{path}", data="{}", allow_redirects=False)
    assert answer.status_code == HTTPStatus.PERMANENT_REDIRECT
    assert answer.headers["Location"] == BASE + path


@pytest.mark.parametrize(
    "path", ["/metrics", "//metrics", "/%6detrics", "/x/../metrics?y", "/x/metrics"]
)
def test_metrics_stay_inside(proxy: Proxy, stack: Stack, path: str) -> None:
    with proxy.connect() as line:
        # Of which gunicorn would take the second path.
        lines = (f"GET {path} HTTP/1.1", f"Host: {NAME}", "SCRIPT_NAME: /x", "Connection: close")
        line.sendall("\r\n".join([*lines, "", ""]).encode())
        answer = read(line)
    assert answer.startswith((b"HTTP/1.1 404", b"HTTP/1.1 308"))
    assert b"sentinel_build_info" not in answer
    assert "sentinel_build_info" in stack.get("/metrics").text


def test_a_batch_as_large_as_one_may_be_passes_and_a_larger_one_is_refused_before_it_is_sent(
    proxy: Proxy, key: str
) -> None:
    lines = MAX_BATCH // len(LINE)
    body = LINE * lines + b"\n" * (MAX_BATCH - lines * len(LINE))
    sent = signed(proxy, key).post(f"{BASE}/events", data=body, headers=NDJSON, timeout=60)
    assert sent.json()["accepted"] == lines
    with proxy.connect() as line:
        line.sendall(head(key, MAX_BATCH + 1, "Expect: 100-continue"))
        answer = read(line)
    assert answer.startswith(b"HTTP/1.1 413")
    assert (b"application/problem+json" in answer) is isinstance(proxy, Caddy)


def test_who_fails_is_known_by_the_address_that_connects_and_not_by_what_it_says(
    proxy: Proxy,
) -> None:
    # Each has addresses of its own: what one has used up is not there for the other.
    network = "127.0.1" if isinstance(proxy, Caddy) else "127.0.2"
    liar = proxy.client(f"{network}.1")
    told = [
        liar.get(f"{BASE}/rules", headers=dict.fromkeys(SAID, f"192.0.2.{n}")) for n in range(9)
    ]
    refused = [answer.status_code for answer in told]
    assert refused == [HTTPStatus.UNAUTHORIZED] * FAILURES + [HTTPStatus.TOO_MANY_REQUESTS] * 6
    neighbour = proxy.client(f"{network}.2").get(f"{BASE}/rules")
    assert neighbour.status_code == HTTPStatus.UNAUTHORIZED


def test_caddy_finds_no_fault_in_the_caddyfile() -> None:
    need(CADDY)
    assert "Valid configuration" in caddy("validate", "--adapter", "caddyfile", "--config")
    assert re.findall(r"^[-+].*", caddy("fmt", "--diff"), re.MULTILINE) == []


def test_who_never_ends_a_request_is_cut_off_and_a_batch_on_a_slow_line_is_not(
    caddy_alone: Caddy, key: str
) -> None:
    lines = 1000
    begun = f"POST /events HTTP/1.1\r\nHost: {NAME}\r\n".encode()
    plain = socket.create_connection((HOST, caddy_alone.http), timeout=60)
    with plain, caddy_alone.connect() as never, caddy_alone.connect() as slow:
        slow.sendall(head(key, lines * len(LINE)) + LINE * 10)
        for line in (plain, never):
            line.sendall(begun)
        # Only their end tells that as much time has passed; the batch goes on then.
        assert [line.recv(1) for line in (plain, never)] == [b"", b""]
        slow.sendall(LINE * (lines - 10))
        answer = read(slow)
    assert answer.startswith(b"HTTP/1.1 202")
    assert b'"accepted":1000,' in answer


def test_an_api_whose_port_is_kept_may_be_replaced_behind_a_proxy(
    stack: Stack, proxy: Proxy, key: str
) -> None:
    # The port is kept as the unit of systemd does.
    stack.processes["api"].kill()
    # On one that it still takes to be open a proxy would lose a POST.
    wait_until(lambda: not are_open_to(stack.ports.api), 30)
    with ThreadPoolExecutor() as pool:
        events = [{"type": "order", "n": n} for n in range(4)]
        sent = [
            pool.submit(signed(proxy, key).post, f"{BASE}/events", json=event, timeout=60)
            for event in events
        ]
        wait_until(lambda: all(one.running() for one in sent), 60)
        stack.start("api")
        assert [one.result().status_code for one in sent] == [HTTPStatus.ACCEPTED] * 4


def test_the_access_log_tells_who_asked_for_what_and_no_credentials(
    caddy_alone: Caddy, key: str
) -> None:
    client = signed(caddy_alone, key)
    cookie = client.get(f"{BASE}/console/sign-in").cookies["__Host-sentinel"]
    client.get(f"{BASE}/rules?limit=7")

    def entries() -> list[dict[str, Any]]:
        text = caddy_alone.log_of("proxy").read_text(encoding="utf-8")
        assert key not in text
        assert cookie not in text
        told = [json.loads(line) for line in text.splitlines()]
        return [one for one in told if one.get("request", {}).get("uri") == "/rules?limit=7"]

    wait_until(entries, 30)
    [entry] = entries()
    assert entry["logger"].startswith("http.log.access")
    assert (entry["status"], entry["request"]["remote_ip"]) == (HTTPStatus.OK, "127.0.0.1")
    assert entry["request"]["headers"]["Authorization"] == []


def are_open_to(port: int) -> bool:
    """Whether anybody of this machine keeps a connection to a port of it."""
    established, left_by_the_other = "01", "08"
    lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    found = (line.split()[2:4] for line in lines)
    return any(
        int(there.partition(":")[2], 16) == port and state in (established, left_by_the_other)
        for there, state in found
    )


def read(line: socket.socket) -> bytes:
    """All until the other side hangs up."""
    text = b""
    while piece := line.recv(65_536):
        text += piece
    return text
