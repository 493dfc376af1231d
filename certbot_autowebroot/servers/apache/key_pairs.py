"""Whether the certificates and keys that Apache httpd's configuration names belong together.

``httpd -t`` opens none of them, and says "Syntax OK" over a torn file: httpd then ends at its next reload (2.4).
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

#: cryptography 39 and up can do without the proof that a key's primes are some, which takes 1.5 s for one of 4096 bits.
_WITHOUT_PROOF = {"unsafe_skip_rsa_key_validation": True} if int(cryptography.__version__.split(".")[0]) >= 39 else {}
#: Else there has to be an end to that: bytes of a key of 16384 bits, the largest that OpenSSL takes; and seconds, for
#: all keys of a user's httpd together.
_MAX_KEY = 16 * 1024
_PATIENCE = 30.0


def complaint(configuration: ConfigurationTree, view: View) -> str:
    """The first pair that would end httpd; empty where there is none.

    :param view: the httpd's. A user's may name files of root's, or a device.
    """
    deadline = time.monotonic() + (_PATIENCE if is_ordinary(view.uid) else math.inf)
    found = (broken(certificate, key, view) for certificate, key in _pairs(configuration)
             if time.monotonic() < deadline)
    return next(filter(None, found), "")


def broken(certificate: str, key: str, view: View) -> str:
    """Why a server could not start with a certificate and a key (PEM files); empty where it could.

    A key that is encrypted, of a kind that we do not know, or not to be read with these rights, says nothing.
    """
    path = certificate
    try:
        found = x509.load_pem_x509_certificate(view.read(path)).public_key()
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
    return "" if found.public_bytes(*form) == private.public_bytes(*form) else \
        f"the key {key} does not belong to the certificate {certificate}"


def _pairs(configuration: ConfigurationTree) -> Iterator[Tuple[str, str]]:
    """mod_ssl: the files of each virtual host that speaks TLS, in turn; a key without a file of its own is in the same.

    What ``pkcs11:`` names is not in a file.
    """
    top = configuration.directives
    main = _said(top, "sslengine")
    for section in [top, *(directive.children for directive in top if directive.name == "virtualhost")]:
        if (_said(section, "sslengine") or main or ["off"])[-1].lower() == "off":
            continue
        certificates, keys = _said(section, _CERTIFICATE), _said(section, _KEY)
        for number, certificate in enumerate(certificates):
            key = keys[number] if number < len(keys) else certificate
            if not certificate.startswith("pkcs11:") and not key.startswith("pkcs11:"):
                yield (posixpath.join(configuration.server_root, certificate),
                       posixpath.join(configuration.server_root, key))


def _said(section: Sequence[Directive], name: str) -> List[str]:
    """The first argument of each directive of a name."""
    words = [split_words(directive.text) for directive in section if directive.name == name]
    return [word[0] for word in words if word]
