"""Certificates made at test time: one private CA, servers on 127.0.0.1, clients by their common name."""

from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

__all__ = ["Certificates", "KeyPair"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """PEM files of one certificate."""

    cert: Path
    key: Path
    both: Path
    """Key and chain in one file, as Kafka's PEM key store wants them."""


class Certificates:
    """A private CA, with its files in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ca = trustme.CA()
        self.ca_file = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(self.ca_file)

    def server(self) -> KeyPair:
        """A certificate of 127.0.0.1 (not of localhost)."""
        return self._files("server", self._ca.issue_cert("127.0.0.1", common_name="server"))

    def client(self, name: str, *, key_password: str | None = None) -> KeyPair:
        """A client's certificate, CN=name; its key is encrypted where there is a password."""
        issued = self._ca.issue_cert(f"{name}.example.org", common_name=name)
        return self._files(name, issued, key_password=key_password)

    def _files(self, name: str, issued: trustme.LeafCert, *, key_password: str | None = None) -> KeyPair:
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        key = _pkcs8(issued.private_key_pem.bytes(), key_password)
        pair = KeyPair(
            cert=self._folder / f"{name}.pem", key=self._folder / f"{name}.key", both=self._folder / f"{name}.both.pem"
        )
        pair.cert.write_bytes(chain)
        pair.key.write_bytes(key)
        pair.both.write_bytes(key + chain)
        return pair


def _pkcs8(pem: bytes, password: str | None) -> bytes:
    """The only form of a PEM key that Java reads."""
    encryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    return load_pem_private_key(pem, None).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
