"""Which virtual host answers on which address, port and protocol: the real httpd and we agree."""
import pathlib
import ssl
import subprocess
from typing import Iterator
from typing import Tuple

import pytest

from certbot_autowebroot.route import Directory
from tests.lab.apache import Apache
from tests.lab.net import OTHER_V4
from tests.lab.net import PUBLIC_V4
from tests.lab.net import PUBLIC_V6
from tests.lab.random.apache_oracle import NAMES
from tests.lab.random.apache_oracle import Asked
from tests.lab.random.apache_oracle import Evaluators
from tests.lab.random.apache_oracle import fetch
from tests.lab.random.apache_oracle import fill
from tests.lab.random.apache_oracle import ours

_ROOTS = ("main", "star", "star2", "other", "other2", "six", "loopback", "named", "anyport", "nameless", "exact",
          "tls", "tls2", "implied", "strict")

_CONFIGURATION = f"""
Listen 80
Listen 8001
Listen 8002
Listen 8003
Listen 8004
Listen 8005 https
Listen 443
ServerName main.test
DocumentRoot {{dir}}/main
<Directory {{dir}}>
Require all granted
</Directory>
<VirtualHost *:80>
ServerName star.test
DocumentRoot {{dir}}/star
</VirtualHost>
<VirtualHost *:80>
ServerName star2.test
ServerAlias both.test
DocumentRoot {{dir}}/star2
</VirtualHost>
<VirtualHost {OTHER_V4}:80>
ServerName other.test
DocumentRoot {{dir}}/other
</VirtualHost>
<VirtualHost {OTHER_V4}:80>
ServerName other2.test
DocumentRoot {{dir}}/other2
</VirtualHost>
<VirtualHost [{PUBLIC_V6}]:80>
ServerName six.test
DocumentRoot {{dir}}/six
</VirtualHost>
<VirtualHost localhost:80>
ServerName loopback.test
DocumentRoot {{dir}}/loopback
</VirtualHost>
<VirtualHost _default_:8002>
DocumentRoot {{dir}}/named
ServerName named.test
</VirtualHost>
<VirtualHost *:8002>
DocumentRoot {{dir}}/nameless
</VirtualHost>
<VirtualHost {PUBLIC_V4}:*>
ServerName anyport.test
DocumentRoot {{dir}}/anyport
</VirtualHost>
<VirtualHost {PUBLIC_V4}:8003>
ServerName exact.test
DocumentRoot {{dir}}/exact
</VirtualHost>
<VirtualHost *:443>
ServerName tls.test
DocumentRoot {{dir}}/tls
SSLEngine on
SSLCertificateFile {{dir}}/cert.pem
</VirtualHost>
<VirtualHost *:443>
ServerName tls2.test
DocumentRoot {{dir}}/tls2
SSLEngine on
SSLCertificateFile {{dir}}/cert.pem
</VirtualHost>
<VirtualHost *:443>
ServerName verified.test
DocumentRoot {{dir}}/tls2
SSLEngine on
SSLCertificateFile {{dir}}/cert.pem
SSLCACertificateFile {{dir}}/cert.pem
SSLVerifyClient require
</VirtualHost>
<VirtualHost *:8005>
DocumentRoot {{dir}}/implied
SSLCertificateFile {{dir}}/cert.pem
</VirtualHost>
<VirtualHost {OTHER_V4}:8004 {PUBLIC_V6}>
ServerName strict.test
DocumentRoot {{dir}}/strict
StrictHostCheck ON
</VirtualHost>
"""

ROWS = [
    ("wildcard by name", Asked("star2.test", address="127.0.0.2"), "star2"),
    ("wildcard by alias", Asked("both.test", address="127.0.0.2"), "star2"),
    ("wildcard, no name matches: the first, not the main server", Asked("main.test", address="127.0.0.2"), "star"),
    ("an address hides the wildcard, even for a name of the latter", Asked("star2.test", address=OTHER_V4), "other"),
    ("an address, the second name", Asked("other2.test", address=OTHER_V4), "other2"),
    ("IPv6", Asked("star.test", address=PUBLIC_V6), "six"),
    ("IPv6 in capitals and with a trailing dot", Asked("SIX.test.", address=PUBLIC_V6), "six"),
    ("a host name as the address", Asked("star.test", address="127.0.0.1"), "loopback"),
    ("no virtual host for the port: the main server", Asked("star.test", port=8001, address=OTHER_V4), "main"),
    ("_default_ is a wildcard", Asked("nothing.test", port=8002, address=OTHER_V4), "named"),
    ("a virtual host without a name has the main one's", Asked("main.test", port=8002, address=OTHER_V4), "nameless"),
    ("any port of an address", Asked("star.test", port=8001), "anyport"),
    ("any port of an address hides the wildcard of a port", Asked("star.test"), "anyport"),
    ("the exact port hides any port", Asked("anyport.test", port=8003), "exact"),
    ("TLS, by name", Asked("tls2.test", port=443, address=OTHER_V4, tls=True), "tls2"),
    ("TLS, no name matches", Asked("star.test", port=443, address=OTHER_V4, tls=True), "tls"),
    ("plain http to a TLS port", Asked("tls.test", port=443, address=OTHER_V4), ""),
    ("TLS to a plain port", Asked("star.test", port=80, address=OTHER_V4, tls=True), ""),
    ("TLS because Listen says https", Asked("any.test", port=8005, address=OTHER_V4, tls=True), "implied"),
    ("plain http where Listen says https", Asked("any.test", port=8005, address=OTHER_V4), ""),
    ("StrictHostCheck, a name that is named", Asked("strict.test", port=8004, address=OTHER_V4), "strict"),
    ("StrictHostCheck, another", Asked("star.test", port=8004, address=OTHER_V4), ""),
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Tuple[pathlib.Path, Evaluators]]":
    directory = tmp_path_factory.mktemp("addresses")
    for name in _ROOTS:
        fill(directory / name)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=tls.test", "-days", "2",
                    "-keyout", "key.pem", "-out", "only.pem"], cwd=directory, check=True, capture_output=True)
    (directory / "cert.pem").write_bytes((directory / "only.pem").read_bytes() + (directory / "key.pem").read_bytes())
    with Apache(directory, _CONFIGURATION) as server:
        yield directory, Evaluators(server)


def test_who_has_a_certificate_may_come_in(lab: "Tuple[pathlib.Path, Evaluators]") -> None:
    """A content delivery network shows one; a CA that comes straight has none, as our probe."""
    _, evaluators = lab
    asked = Asked("verified.test", port=443, address=OTHER_V4, tls=True)
    with pytest.raises(ssl.SSLError):
        fetch(asked)
    (end,) = evaluators.destinations(asked, evaluators.dumped)
    assert isinstance(end, Directory)
    assert end.depends_on_client


@pytest.mark.parametrize(("asked", "root"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_virtual_host(asked: Asked, root: str, lab: "Tuple[pathlib.Path, Evaluators]") -> None:
    """The real server serves from this root, and both our readings say so."""
    directory, evaluators = lab
    expected = f"file {directory}/{root}/{NAMES[0]}" if root else "none"
    answer = fetch(asked)
    assert answer == expected or (answer.startswith("none") and not root)
    assert ours(evaluators.destinations(asked, evaluators.dumped)) == [expected]
    if asked.address != "127.0.0.1":  # only the binary resolves names
        assert ours(evaluators.destinations(asked, evaluators.read)) == [expected]
