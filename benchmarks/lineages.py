"""Hundreds of lineages, without a CA."""
import datetime
from pathlib import Path
from typing import Tuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def write(config: Path, name: str, parameters: str) -> Tuple[Path, Path]:
    """Write a lineage with its own certificate; returns certificate and key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime(*datetime.datetime.now(datetime.timezone.utc).timetuple()[:6])
    certificate = (x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
                   .serial_number(x509.random_serial_number()).not_valid_before(now)
                   .not_valid_after(now + datetime.timedelta(days=60))
                   .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), False).sign(key, hashes.SHA256()))
    archive, live = config / "archive" / name, config / "live" / name
    for directory in (archive, live, config / "renewal"):
        directory.mkdir(parents=True, exist_ok=True)
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    content = {"cert": pem, "chain": pem, "fullchain": 2 * pem, "privkey": key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())}
    for kind, text in content.items():
        (archive / f"{kind}1.pem").write_bytes(text)
        (live / f"{kind}.pem").symlink_to(f"../../archive/{name}/{kind}1.pem")
    files = "".join(f"{kind} = {live}/{kind}.pem\n" for kind in content)
    (config / "renewal" / f"{name}.conf").write_text(f"archive_dir = {archive}\n{files}[renewalparams]\n{parameters}")
    return archive / "cert1.pem", archive / "privkey1.pem"
