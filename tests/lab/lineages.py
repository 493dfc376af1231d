"""Lineages in a configuration directory of Certbot's."""
import datetime
from pathlib import Path
from typing import Optional
from typing import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

#: The time at which :func:`certificate` has so many days left.
NOW = datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc)
NAME = "www.sample.com"
USUAL = "authenticator = standalone\n"
KINDS = ("cert", "privkey", "chain", "fullchain")


def certificate(names: Sequence[str] = (NAME,), days: float = 30, issued: float = -60,
                alternative: bool = True) -> bytes:
    """A certificate as PEM, which expires some days after :data:`NOW`."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    naive = NOW.replace(tzinfo=None)
    builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
               .serial_number(x509.random_serial_number()).not_valid_before(naive + datetime.timedelta(days=issued))
               .not_valid_after(naive + datetime.timedelta(days=days)))
    if alternative:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def make_lineage(config: Path, parameters: str = USUAL, name: str = NAME, pem: Optional[bytes] = None) -> Path:
    """Add a lineage to a configuration directory; returns its renewal configuration."""
    archive, live, renewal = (config / part for part in (f"archive/{name}", f"live/{name}", "renewal"))
    archive.mkdir(parents=True)
    live.mkdir(parents=True)
    renewal.mkdir(exist_ok=True)
    for kind in KINDS:
        (archive / f"{kind}1.pem").write_bytes(certificate([name]) if pem is None else pem)
        (live / f"{kind}.pem").symlink_to(archive / f"{kind}1.pem")
    files = "".join(f"{kind} = {live}/{kind}.pem\n" for kind in KINDS)
    conf = renewal / f"{name}.conf"
    conf.write_text(f"version = 2.1.0\narchive_dir = {archive}\n{files}[renewalparams]\naccount = x\n{parameters}")
    return conf
