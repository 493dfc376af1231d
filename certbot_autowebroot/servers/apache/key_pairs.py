"""Whether the certificates and keys of a configuration belong together.

``httpd -t`` opens none of them and prints "Syntax OK" for a torn file: httpd 2.4 then ends at its next reload.
"""
import math
import posixpath
import time
from typing import Iterator
from typing import List
from typing import Sequence
from typing import Tuple

import cryptography
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from certbot_autowebroot.servers.apache.directives import ConfigurationTree
from certbot_autowebroot.servers.apache.directives import Directive
from certbot_autowebroot.servers.apache.directives import split_words
from certbot_autowebroot.system.identity import is_ordinary
from certbot_autowebroot.system.views import View

_CERTIFICATE = "sslcertificatefile"
_KEY = "sslcertificatekeyfile"

#: cryptography 39 and up can skip the proof that a key's primes are primes, which takes 1.5 s for 4096 bits.
_WITHOUT_PROOF = {"unsafe_skip_rsa_key_validation": True} if int(cryptography.__version__.split(".")[0]) >= 39 else {}
#: Without that there are limits: bytes of a key of 16384 bits, the largest that OpenSSL takes; and seconds for all keys
#: of an ordinary user's httpd.
_MAX_KEY = 16 * 1024
_MAX_SECONDS = 30.0


def complaint(configuration: ConfigurationTree, view: View) -> str:
    """Why the first bad pair would end httpd; empty where all pairs are good.

    :param view: of the httpd. An ordinary user's configuration may name root's files, or a device.
    """
    deadline = time.monotonic() + (_MAX_SECONDS if is_ordinary(view.uid) else math.inf)
    errors = (broken(certificate, key, view) for certificate, key in _pairs(configuration)
              if time.monotonic() < deadline)
    return next(filter(None, errors), "")


def broken(certificate: str, key: str, view: View) -> str:
    """Why a server could not start with a certificate and a key (PEM files); empty where it could.

    A key that is encrypted, of an unknown kind, or not readable with these rights counts as good.
    """
    path = certificate
    try:
        public = x509.load_pem_x509_certificate(view.read(path)).public_key()
        path = key
        content = view.read(path)
        if len(content) > _MAX_KEY and not _WITHOUT_PROOF:
            return ""
        private = serialization.load_pem_private_key(content, password=None, **_WITHOUT_PROOF).public_key()
    except (TypeError, PermissionError, UnsupportedAlgorithm):
        return ""
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    except ValueError:
        return f"there is no {'certificate' if path == certificate else 'key'} in {path}"
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return "" if public.public_bytes(*form) == private.public_bytes(*form) else \
        f"the key {key} does not belong to the certificate {certificate}"


def _pairs(configuration: ConfigurationTree) -> Iterator[Tuple[str, str]]:
    """mod_ssl: the files of each virtual host with TLS, in order; without a key file the certificate's has the key.

    A name with ``pkcs11:`` is not a file.
    """
    top = configuration.directives
    main = _arguments(top, "sslengine")
    for section in [top, *(directive.children for directive in top if directive.name == "virtualhost")]:
        if (_arguments(section, "sslengine") or main or ["off"])[-1].lower() == "off":
            continue
        certificates, keys = _arguments(section, _CERTIFICATE), _arguments(section, _KEY)
        for number, certificate in enumerate(certificates):
            key = keys[number] if number < len(keys) else certificate
            if not certificate.startswith("pkcs11:") and not key.startswith("pkcs11:"):
                yield (posixpath.join(configuration.server_root, certificate),
                       posixpath.join(configuration.server_root, key))


def _arguments(section: Sequence[Directive], name: str) -> List[str]:
    """The first argument of each directive of a name."""
    words = [split_words(directive.text) for directive in section if directive.name == name]
    return [word[0] for word in words if word]
