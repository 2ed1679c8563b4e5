"""Debian's Caddy and nginx for a test, before a Sentinel, with the configuration that is shipped or documented."""

import os
import socket
import ssl
import subprocess
from abc import abstractmethod
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import requests
from requests.adapters import HTTPAdapter

from app.cli.local.process import Child, last_lines
from tests.acceptance.ports import HOST, free_port
from tests.acceptance.scratch import Scratch
from tests.acceptance.waiting import wait_until
from tests.app.channels.certificates import Authority
from tests.pages import ROOT, fences, page

CADDY: Final = Path("/usr/bin/caddy")
NGINX: Final = Path("/usr/sbin/nginx")
CADDYFILE: Final = ROOT / "deploy" / "Caddyfile"
NAME: Final = "sentinel.test"
START_SECONDS: Final = 60


class Proxy(Scratch):
    """A server of `https://sentinel.test` and of its `http`, which pass on to an upstream."""

    def __init__(self, program: Path, upstream: str) -> None:
        super().__init__(program.name)
        self.program, self.upstream = program, upstream
        self.https, self.http = free_port(), free_port()

    @property
    @abstractmethod
    def authority(self) -> Path:
        """The certificate of whoever signed the proxy's."""

    @abstractmethod
    def start(self) -> Child:
        """The process."""

    def begin(self) -> None:
        """The proxy, until what is behind it answers."""
        child = self.start()
        wait_until(lambda: self._passes_on(child), START_SECONDS)

    def client(self, address: str = HOST) -> requests.Session:
        """Who knows the name and trusts its certificate, and calls from an address of this machine."""
        session = requests.Session()
        session.trust_env = False
        session.verify = str(self.authority)
        session.mount(f"https://{NAME}", Known(self.https, address))
        session.mount(f"http://{NAME}", Known(self.http, address))
        return session

    def connect(self) -> ssl.SSLSocket:
        """A connection by TLS, for what no client of HTTP does."""
        trusting = ssl.create_default_context(cafile=str(self.authority))
        line = socket.create_connection((HOST, self.https), timeout=START_SECONDS)
        return trusting.wrap_socket(line, server_hostname=NAME)

    def _passes_on(self, child: Child) -> bool:
        assert child.exit_code is None, last_lines(self.log_of("proxy"), 30)
        try:
            return self.client().get(f"https://{NAME}/healthz", timeout=5).ok
        except (requests.RequestException, OSError):
            return False


class Known(HTTPAdapter):
    """Connections to a port here, whose other side must prove to be who the URL names."""

    def __init__(self, port: int, source: str) -> None:
        self._port, self._source = port, source
        super().__init__()

    def init_poolmanager(self, *sizes: Any, **options: Any) -> None:
        """As always, from our address."""
        super().init_poolmanager(*sizes, source_address=(self._source, 0), **options)

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> Any:
        """The port here in place of the name's own; TLS is asked for the name."""
        host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        name = host["host"]
        proof = {"server_hostname": name, "assert_hostname": name}
        tls = proof if host["scheme"] == "https" else {}
        return {**host, "host": HOST, "port": self._port}, {**pool, **tls}

    def add_headers(self, request: requests.PreparedRequest, **_options: Any) -> None:
        """Say the name."""
        request.headers["Host"] = urlsplit(str(request.url)).netloc


class Caddy(Proxy):
    """By the shipped Caddyfile, which is told of other ports and to sign its certificate itself."""

    def __init__(self, upstream: str) -> None:
        super().__init__(CADDY, upstream)

    @property
    def authority(self) -> Path:
        """Its own."""
        return self.folder / "caddy" / "pki" / "authorities" / "local" / "root.crt"

    def start(self) -> Child:
        """It keeps all that it writes in its folder."""
        ports = f"http_port {self.http}\nhttps_port {self.https}"
        env = {
            "HOME": str(self.folder),
            "XDG_DATA_HOME": str(self.folder),
            "XDG_CONFIG_HOME": str(self.folder),
            "SENTINEL_DOMAIN": NAME,
            "SENTINEL_UPSTREAM": self.upstream,
            "CADDY_GLOBAL_OPTIONS": f"admin off\nlocal_certs\nskip_install_trust\n{ports}",
        }
        run = (str(self.program), "run", "--adapter", "caddyfile", "--config", str(CADDYFILE))
        return self.run("proxy", *run, env=env)


class Nginx(Proxy):
    """By the lines of its page, with other ports and a certificate of a test's authority."""

    def __init__(self, upstream: str) -> None:
        super().__init__(NGINX, upstream)
        self._signed = Authority.make(self.folder, NAME)

    @property
    def authority(self) -> Path:
        """The test's."""
        return self._signed.ca

    def start(self) -> Child:
        """In the foreground."""
        (self.folder / "nginx.conf").write_text(self.config(), encoding="utf-8")
        own = ("-p", str(self.folder), "-e", "stderr", "-c", "nginx.conf", "-g", "daemon off;")
        return self.run("proxy", str(self.program), *own)

    def config(self) -> str:
        """All of it."""
        [text] = fences(page("nginx"), "nginx")
        here = {
            "listen 80;": f"listen {self.http};",
            "listen 443 ssl;": f"listen {self.https} ssl;",
            "/etc/letsencrypt/live/sentinel.example.org/fullchain.pem": self._signed.certificate,
            "/etc/letsencrypt/live/sentinel.example.org/privkey.pem": self._signed.key,
            "sentinel.example.org": NAME,
            "127.0.0.1:8000": self.upstream,
        }
        for shown, used in here.items():
            assert shown in text, shown
            text = text.replace(shown, str(used))
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        folders = "".join(f"{kind}_temp_path {kind};" for kind in kinds)
        user = "user root;" if os.geteuid() == 0 else ""
        return f"{user} pid pid; events {{}} http {{ access_log off; {folders}\n{text}\n}}"


def need(*programs: Path) -> None:
    """Skip where one is missing; in CI they must be there."""
    if not all(program.exists() for program in programs) and not os.environ.get("CI"):
        pytest.skip("needs proxies: apt-get install caddy nginx-light")


def caddy(*words: str) -> str:
    """What Caddy says about the shipped file."""
    command = [str(CADDY), *words, str(CADDYFILE)]
    env = {"SENTINEL_DOMAIN": NAME, "HOME": "/nonexistent"}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr
