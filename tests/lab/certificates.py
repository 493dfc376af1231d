"""Certificates for web servers of the tests."""
import datetime
import ipaddress
from pathlib import Path
from typing import Tuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric import rsa


def expired(directory: Path, name: str) -> Tuple[Path, Path]:
    """A certificate that expired yesterday, and its key: the state in which a renewal matters most."""
    paths = directory / f"{name}.crt", directory / f"{name}.key"
    _make(*paths, name, x509.SubjectAlternativeName([]), days=91)
    return paths


def lineage(live: Path, name: str, days: int, key: str = "ECDSA") -> None:
    """The files of a lineage in Certbot's live directory, with a certificate that was issued so many days ago.

    :param name: a host name or an IP address.
    :param key: ``ECDSA`` or ``RSA``.
    """
    live.mkdir(parents=True, exist_ok=True)
    try:
        general: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        general = x509.DNSName(name)
    _make(live / "cert.pem", live / "privkey.pem", name, x509.SubjectAlternativeName([general]), days, key)
    (live / "privkey.pem").chmod(0o600)
    (live / "fullchain.pem").write_bytes((live / "cert.pem").read_bytes())


def _make(crt: Path, key_file: Path, name: str, names: x509.SubjectAlternativeName, days: int,
          kind: str = "ECDSA") -> None:
    """A self-signed certificate for ninety days that was issued so many days ago."""
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = ec.generate_private_key(ec.SECP256R1())
    if kind == "RSA":
        key = rsa.generate_private_key(65537, 2048)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    issued = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0, tzinfo=None) \
        - datetime.timedelta(days=days)
    builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
               .serial_number(x509.random_serial_number()).not_valid_before(issued)
               .not_valid_after(issued + datetime.timedelta(days=90)))
    if list(names):
        builder = builder.add_extension(names, critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    crt.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL,
                                           serialization.NoEncryption()))
