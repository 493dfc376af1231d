"""The virtual host that answers on an address, port and protocol: the evaluator alone, and with the real httpd."""
import pathlib
import ssl
import subprocess
from typing import Iterator
from typing import Tuple

import pytest

from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Request
from certbot_autowebroot.servers.apache.configuration import Configuration
from tests.lab.apache import Apache
from tests.lab.net import OTHER_V4
from tests.lab.net import PUBLIC_V4
from tests.lab.net import PUBLIC_V6
from tests.lab.random.apache_oracle import FILES
from tests.lab.random.apache_oracle import ask_evaluator
from tests.lab.random.apache_oracle import ask_server
from tests.lab.random.apache_oracle import described
from tests.lab.random.apache_oracle import dumped_configuration
from tests.lab.random.apache_oracle import fill
from tests.lab.random.apache_oracle import read_configuration
from tests.lab.random.apache_oracle import request_for

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

#: Only httpd resolves the names in an opening tag; our parser does not.
_RESOLVED = "a host name as the address"

ROWS = [
    ("wildcard by name", request_for("star2.test", address="127.0.0.2"), "star2"),
    ("wildcard by alias", request_for("both.test", address="127.0.0.2"), "star2"),
    ("wildcard, no name matches: the first", request_for("main.test", address="127.0.0.2"), "star"),
    ("an address hides the wildcard and its names", request_for("star2.test", address=OTHER_V4), "other"),
    ("an address, the second name", request_for("other2.test", address=OTHER_V4), "other2"),
    ("IPv6", request_for("star.test", address=PUBLIC_V6), "six"),
    ("IPv6 in capitals and with a trailing dot", request_for("SIX.test.", address=PUBLIC_V6), "six"),
    (_RESOLVED, request_for("star.test", address="127.0.0.1"), "loopback"),
    ("no virtual host for the port", request_for("star.test", port=8001, address=OTHER_V4), "main"),
    ("_default_ is a wildcard", request_for("nothing.test", port=8002, address=OTHER_V4), "named"),
    ("nameless: the main server's name", request_for("main.test", port=8002, address=OTHER_V4), "nameless"),
    ("any port of an address", request_for("star.test", port=8001), "anyport"),
    ("any port of an address hides the wildcard of a port", request_for("star.test"), "anyport"),
    ("the exact port hides any port", request_for("anyport.test", port=8003), "exact"),
    ("TLS, by name", request_for("tls2.test", port=443, address=OTHER_V4, tls=True), "tls2"),
    ("TLS, no name matches", request_for("star.test", port=443, address=OTHER_V4, tls=True), "tls"),
    ("plain http to a TLS port", request_for("tls.test", port=443, address=OTHER_V4), ""),
    ("TLS to a plain port", request_for("star.test", port=80, address=OTHER_V4, tls=True), ""),
    ("TLS because Listen says https", request_for("any.test", port=8005, address=OTHER_V4, tls=True), "implied"),
    ("plain http where Listen says https", request_for("any.test", port=8005, address=OTHER_V4), ""),
    ("StrictHostCheck, a name of a virtual host", request_for("strict.test", port=8004, address=OTHER_V4), "strict"),
    ("StrictHostCheck, another", request_for("star.test", port=8004, address=OTHER_V4), ""),
]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Tuple[pathlib.Path, Configuration]:
    """The directory, and the configuration as our parser reads it."""
    directory = tmp_path_factory.mktemp("addresses-files")
    return directory, read_configuration(Apache(directory, _CONFIGURATION))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tuple[pathlib.Path, Configuration, Configuration]]:
    """A real httpd: its directory, its dump, and the configuration as our parser reads it."""
    directory = tmp_path_factory.mktemp("addresses")
    for name in _ROOTS:
        fill(directory / name)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=tls.test", "-days", "2",
                    "-keyout", "key.pem", "-out", "only.pem"], cwd=directory, check=True, capture_output=True)
    (directory / "cert.pem").write_bytes((directory / "only.pem").read_bytes() + (directory / "key.pem").read_bytes())
    with Apache(directory, _CONFIGURATION) as running:
        yield directory, dumped_configuration(running), read_configuration(running)


def expected_words(root: str, directory: pathlib.Path) -> str:
    """The expected column in the words of apache_oracle."""
    return f"file {directory}/{root}/{FILES[0]}" if root else "none"


@pytest.mark.parametrize(("request_", "root"), [row[1:] for row in ROWS if row[0] != _RESOLVED],
                         ids=[row[0] for row in ROWS if row[0] != _RESOLVED])
def test_evaluator(request_: Request, root: str, files: "Tuple[pathlib.Path, Configuration]") -> None:
    """Our parser and the evaluator give the expected root; no httpd is needed."""
    directory, read = files
    assert described(ask_evaluator(read, request_)) == [expected_words(root, directory)]


@pytest.mark.lab
@pytest.mark.parametrize(("request_", "root"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_server(request_: Request, root: str, server: "Tuple[pathlib.Path, Configuration, Configuration]") -> None:
    """The real httpd, its dump and the files that our parser reads give the expected root."""
    directory, dumped, read = server
    expected = expected_words(root, directory)
    answer = ask_server(request_)
    assert answer == expected or (answer.startswith("none") and not root)
    assert described(ask_evaluator(dumped, request_)) == [expected]
    if request_ is not dict(row[:2] for row in ROWS)[_RESOLVED]:
        assert described(ask_evaluator(read, request_)) == [expected]


@pytest.mark.lab
def test_client_certificate_depends_on_client(server: "Tuple[pathlib.Path, Configuration, Configuration]") -> None:
    """A content delivery network shows a certificate; a CA that connects directly has none, as our probe."""
    request = request_for("verified.test", port=443, address=OTHER_V4, tls=True)
    with pytest.raises(ssl.SSLError):
        ask_server(request)
    (destination,) = ask_evaluator(server[1], request)
    assert isinstance(destination, Directory)
    assert destination.depends_on_client
