"""The lineages of a Certbot configuration directory: their renewal configurations and certificates.

configobj and cryptography are not among our requirements: every version of Certbot requires them, and a requirement of
ours could only break.
"""
import functools
import ipaddress
import os
import re
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from datetime import datetime
from datetime import timezone
from typing import Any
from typing import Dict
from typing import List
from typing import Mapping
from typing import Optional
from typing import Sequence
from typing import Tuple

import configobj  # type: ignore[import-untyped]
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from certbot_autowebroot.system.views import View

#: Settings without which Certbot does not renew a lineage.
_REQUIRED = ("cert", "privkey", "chain", "fullchain")
_PREFIX = "autowebroot_"
#: Settings of a renewal configuration that name hooks after it; Certbot saves a deploy hook as ``renew_hook``.
_AFTERWARDS = ("installer", "renew_hook", "deploy_hook", "post_hook")
_INI_HOOK = re.compile(r"\s*(?:--)?(?:deploy|renew|post)-hook(?:\s*[=:]\s*|\s+)([^\s=:].*)")


@dataclass(frozen=True)
class Certificate:
    """One certificate.

    :ivar names: DNS names and IP addresses that it is for.
    :ivar fingerprint: SHA-256 of the whole of it, hexadecimal.
    :ivar key: the kind of its key: ``RSA``, ``ECDSA``, or empty for another.
    :ivar issuer: the distinguished name of the issuer (RFC 4514).
    :ivar serial: hexadecimal.
    """

    names: Tuple[str, ...]
    not_before: datetime
    not_after: datetime
    fingerprint: str
    key: str = ""
    issuer: str = ""
    serial: str = ""

    def days_left(self, now: datetime) -> int:
        """Whole days until it runs out; negative when it has."""
        return (self.not_after - now).days


@dataclass(frozen=True)
class Lineage:
    """One renewal configuration and the certificate that is current.

    :ivar conf: its path.
    :ivar authenticator: Certbot's name of it; empty where the configuration has none.
    :ivar port: ``http01_port`` of the renewal configuration, or 80.
    :ivar address: ``http01_address``; empty for all.
    :ivar webroots: where the ``webroot`` authenticator would put each name's file, by name.
    :ivar options: those of ours, without their prefix: ``path``, ``unproven``, ``roots``.
    :ivar pre_hook: a command that runs before a renewal.
    :ivar afterwards: what runs after one and may reload a server: its installer, its own deploy and post hooks, and
        those of every lineage. Options of a cron job's command line are not seen.
    :ivar problem: why Certbot could not renew it, or why it could not be checked; a phrase, or empty.
    :ivar hidden: the problem is that we may not read its files: it says nothing of the lineage.
    """

    name: str
    conf: str
    authenticator: str = ""
    port: int = 80
    address: str = ""
    webroots: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    pre_hook: str = ""
    afterwards: Tuple[str, ...] = ()
    directory_hooks: bool = True
    autorenew: bool = True
    certificate_file: str = ""
    certificate: Optional[Certificate] = None
    problem: str = ""
    hidden: bool = False


def is_wildcard(name: str) -> bool:
    """Whether a name is a wildcard: Certbot's own function is in a module that imports all of acme and requests."""
    return name.startswith("*.")


def lineages(config_dir: str) -> List[Lineage]:
    """Every lineage of a configuration directory, by name.

    :raises OSError: there is no such directory, or we may not read it.
    """
    os.listdir(config_dir)
    try:
        files = sorted(os.listdir(os.path.join(config_dir, "renewal")))
    except FileNotFoundError:  # no certificate has been issued yet
        return []
    every = [lineage(os.path.join(config_dir, "renewal", file)) for file in files if file.endswith(".conf")]
    shared = directory_hooks(config_dir, "deploy") + directory_hooks(config_dir, "post")
    of_all = _hooks_of_ini(config_dir)
    return [replace(one, afterwards=(*one.afterwards, *of_all, *(shared if one.directory_hooks else ())))
            for one in every]


def lineage(conf: str) -> Lineage:
    """One lineage. Never raises: an error becomes its :attr:`~Lineage.problem`."""
    name = os.path.basename(conf)[:-len(".conf")]
    try:
        fields = _fields(name, conf)
    except (OSError, ValueError) as error:
        return Lineage(name, conf, problem=f"{conf} {_cannot(error)}", hidden=isinstance(error, PermissionError))
    files = fields.pop("files")
    try:
        certificate = read_certificate(fields["certificate_file"])
    except (OSError, ValueError) as error:
        reason = _cannot(error) if isinstance(error, OSError) else "is broken: there is no certificate in it"
        return Lineage(**fields, problem=f"its certificate {fields['certificate_file']} {reason}",
                       hidden=isinstance(error, PermissionError))
    return Lineage(**fields, certificate=certificate, problem=_problem_of(files))


def _problem_of(files: Sequence[str]) -> str:
    """Why Certbot would not take these files for a lineage's: each has to be a link to one that is there."""
    for path in files:
        if not os.path.exists(path):
            return f"its file {path} is missing"
        if not os.path.islink(path):
            return f"its file {path} is not a symbolic link into archive/, as Certbot wants it (were the files copied?)"
    return ""


def earlier_certificates(lineage: Lineage) -> List[str]:
    """The fingerprints of the lineage's certificates in ``archive/``."""
    archive = os.path.dirname(os.path.realpath(lineage.certificate_file))
    fingerprints = []
    for file in View.of_host().list_dir(archive):
        if file.startswith("cert") and file.endswith(".pem"):
            try:
                fingerprints.append(read_certificate(os.path.join(archive, file)).fingerprint)
            except (OSError, ValueError):  # not a file of Certbot's
                continue
    return fingerprints


def other_owner(certificate: Certificate, lineage: Lineage) -> str:
    """The name of another lineage with the same names that has or had a certificate; empty where there is none.

    Certbot makes such a lineage (``www.sample.com-0001``) for names in another order of certonly, or for --duplicate.
    """
    live, own = os.path.split(os.path.dirname(lineage.certificate_file))
    for name in sorted(View.of_host().list_dir(live)):
        other = Lineage(name, "", certificate_file=os.path.join(live, name, "cert.pem"))
        try:
            names = read_certificate(other.certificate_file).names if name != own else ()
        except (OSError, ValueError):  # a file of Certbot's (README), or a broken lineage
            continue
        if set(names) == set(certificate.names) and certificate.fingerprint in earlier_certificates(other):
            return name
    return ""


def directory_hooks(config_dir: str, when: str = "pre") -> List[str]:
    """The hooks that Certbot runs for every lineage: the executable files of a directory.

    :param when: ``pre``, ``deploy`` or ``post``.
    """
    directory = os.path.join(config_dir, "renewal-hooks", when)
    view = View.of_host()
    paths = [os.path.join(directory, file) for file in view.list_dir(directory) if not file.endswith("~")]
    return [path for path in paths if view.is_file(path) and os.access(path, os.X_OK)]


def _hooks_of_ini(config_dir: str) -> List[str]:
    """The deploy and post hooks of Certbot's ``cli.ini``, in the forms that ConfigArgParse reads."""
    try:
        text = View.of_host().read(os.path.join(config_dir, "cli.ini")).decode("utf-8", "replace")
    except OSError:
        return []
    return [match[1] for match in map(_INI_HOOK.match, text.splitlines()) if match]


def read_certificate(path: str) -> Certificate:
    """The first certificate of a PEM file.

    :raises OSError: it cannot be read.
    :raises ValueError: there is none in it.
    """
    return _certificate(x509.load_pem_x509_certificate(View.of_host().read(path)))


def parse_certificate(der: bytes) -> Certificate:
    """A certificate as TLS sends it.

    :raises ValueError: it is none.
    """
    return _certificate(x509.load_der_x509_certificate(der))


@functools.cache  # mostly a server shows the very certificate of the lineage
def _certificate(parsed: x509.Certificate) -> Certificate:
    names: List[str] = []
    try:
        extension = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = [*extension.get_values_for_type(x509.DNSName), *map(str, extension.get_values_for_type(x509.IPAddress))]
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        pass  # made by hand with openssl: it has a common name
    common = [str(a.value) for a in parsed.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return Certificate(tuple(names or common), _when(parsed, "not_valid_before"),
                       _when(parsed, "not_valid_after"), parsed.fingerprint(hashes.SHA256()).hex(), _kind(parsed),
                       parsed.issuer.rfc4514_string(), f"{parsed.serial_number:x}")


def _kind(certificate: x509.Certificate) -> str:
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):  # another kind of key
        return ""
    return "RSA" if isinstance(key, rsa.RSAPublicKey) else "ECDSA" if isinstance(key, ec.EllipticCurvePublicKey) else ""


def _when(certificate: x509.Certificate, attribute: str) -> datetime:
    # cryptography has the times with a zone since 42, and warns of those without.
    time: Optional[datetime] = getattr(certificate, attribute + "_utc", None)
    return time or getattr(certificate, attribute).replace(tzinfo=timezone.utc)


def _fields(name: str, conf: str) -> Dict[str, Any]:
    """The fields of a lineage in its renewal configuration, and the paths of its files.

    :raises OSError: it cannot be read.
    :raises ValueError: Certbot could not make sense of it.
    """
    text = View.of_host().read(conf).decode("utf-8")
    try:
        parsed = configobj.ConfigObj(text.splitlines(), encoding="utf-8", default_encoding="utf-8", interpolation=False)
    except configobj.ConfigObjError as error:
        raise ValueError(f"is broken: {error}") from None
    missing = [key for key in _REQUIRED if not isinstance(parsed.get(key), str)]
    parameters = parsed.get("renewalparams")
    if missing:
        raise ValueError(f"is broken: it does not say {', '.join(missing)}")
    parameters = parameters if isinstance(parameters, dict) else {}
    values = {key: "" if value == "None" else value for key, value in parameters.items() if isinstance(value, str)}
    if not values.get("authenticator"):
        raise ValueError("is broken: it does not say which authenticator")
    port = values.get("http01_port", "80")
    if not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"is broken: http01_port = {port}")
    return {
        "name": name, "conf": conf, "authenticator": values["authenticator"], "port": int(port),
        "address": _address(values.get("http01_address", "")), "webroots": _webroots(parameters),
        "options": {key[len(_PREFIX):]: values.get(key, str(value)) for key, value in parameters.items()
                    if key.startswith(_PREFIX)},
        "pre_hook": values.get("pre_hook", ""),
        "afterwards": tuple(values[key] for key in _AFTERWARDS if values.get(key)),
        "directory_hooks": values.get("directory_hooks") != "False",
        "autorenew": values.get("autorenew") != "False", "certificate_file": parsed["cert"],
        "files": [parsed[key] for key in _REQUIRED]}


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text)) if text else ""
    except ValueError:
        raise ValueError(f"is broken: http01_address = {text}") from None


def _webroots(parameters: Mapping[str, Any]) -> Dict[str, str]:
    """``webroot_map``, and under an empty name the last of ``webroot_path``, where every other name's file goes."""
    mapped = parameters.get("webroot_map")
    roots = {str(name): root for name, root in mapped.items() if isinstance(root, str)} if isinstance(mapped, dict) \
        else {}
    paths = parameters.get("webroot_path", [])
    paths = [path for path in ([paths] if isinstance(paths, str) else paths) if path]
    if paths:
        roots[""] = str(paths[-1])
    return roots


def _cannot(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "is missing"
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror}"
    if isinstance(error, UnicodeDecodeError):
        return "is broken: it is not UTF-8"
    return str(error) if str(error).startswith("is broken") else f"is broken: {error}"
