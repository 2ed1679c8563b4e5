"""A certificate authority for tests, and a certificate of it for one name."""

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Authority:
    """A certificate authority of these tests, and what it has signed for a name."""

    ca: Path
    certificate: Path
    key: Path

    @classmethod
    def make(cls, folder: Path, name: str = "localhost") -> "Authority":
        """With keys and certificates of their own in a folder."""
        ca, ca_key = folder / "ca.pem", folder / "ca.key"
        cert, key = folder / "cert.pem", folder / "key.pem"
        new = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
        root = [*new.split(), "-subj", "/CN=Tests", "-keyout", str(ca_key), "-out", str(ca)]
        names = ["-addext", f"subjectAltName=DNS:{name}", "-addext", "basicConstraints=CA:FALSE"]
        signed = ["-CA", str(ca), "-CAkey", str(ca_key), "-subj", f"/CN={name}", *names]
        leaf = [*new.split(), *signed, "-keyout", str(key), "-out", str(cert)]
        for command in (root, leaf):
            subprocess.run(command, check=True, capture_output=True)
        return cls(ca, cert, key)

    def serving(self) -> ssl.SSLContext:
        """What a server proves its name with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context

    def trusting(self) -> ssl.SSLContext:
        """What a client trusts it with."""
        return ssl.create_default_context(cafile=str(self.ca))
