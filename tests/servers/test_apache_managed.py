"""The domains of mod_md: the evaluator alone, and with the real mod_md."""
import pathlib

import pytest

from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Destination
from tests.lab.apache import DEFAULT_MODULES
from tests.lab.apache import Apache
from tests.lab.certificates import expired
from tests.lab.random.apache_oracle import ask_evaluator
from tests.lab.random.apache_oracle import ask_server
from tests.lab.random.apache_oracle import described
from tests.lab.random.apache_oracle import dumped_configuration
from tests.lab.random.apache_oracle import fill
from tests.lab.random.apache_oracle import read_configuration
from tests.lab.random.apache_oracle import request_for

_FRAME = """
Listen 80
Listen 443
ServerName main.test
MDStoreDir {dir}/md
MDCertificateAgreement accepted
<Directory {dir}>
Require all granted
</Directory>
@outside
<VirtualHost *:80>
ServerName a.test
ServerAlias *.a.test
DocumentRoot {dir}/a
RewriteEngine On
RewriteCond %{HTTP_HOST} =moved.a.test
RewriteRule ^ https://other.test/ [R]
@inside
</VirtualHost>
"""
_TLS = """<VirtualHost *:443>
ServerName a.test
ServerAlias www.a.test
SSLEngine On
</VirtualHost>
"""

#: Lines of the main server, lines inside the virtual host, the hosts that mod_md answers for.
_ROWS = [
    ("MDomain a.test", "", "a.test"),
    ("MDomain A.Test www.a.test", "", "a.test www.a.test"),
    ("MDomain a.test moved.a.test", "", "a.test moved.a.test"),
    ("", "MDomain a.test", "a.test"),
    ("MDomain *.a.test", "", "www.a.test x.a.test moved.a.test"),
    ("MDomain b.test", "", ""),
    ("MDomain a.test\nMDRenewMode manual", "", ""),
    ("MDomain a.test\nMDRenewMode always", "", "a.test"),
    ("MDomain a.test\nMDCAChallenges tls-alpn-01", "", ""),
    ("MDomain a.test\nMDCAChallenges tls-alpn-01 http-01", "", "a.test"),
    ("<MDomainSet a.test>\nMDMember www.a.test\n</MDomainSet>", "", "a.test www.a.test"),
    ("MDRenewMode manual\n<MDomainSet a.test>\nMDRenewMode auto\n</MDomainSet>", "", "a.test"),
    ("<MDomainSet a.test>\nMDCertificateFile {dir}/a.test.crt\n"
     "MDCertificateKeyFile {dir}/a.test.key\n</MDomainSet>", "", ""),
    ("<MDomainSet a.test>\nMDRenewMode always\nMDCertificateFile {dir}/a.test.crt\n"
     "MDCertificateKeyFile {dir}/a.test.key\n</MDomainSet>", "", "a.test"),
    ("MDomain a.test\n" + _TLS, "", "a.test www.a.test"),
    ("MDomain a.test manual\n" + _TLS.replace("ServerAlias www.a.test\n", ""), "", "a.test"),
    ("MDMembers manual\nMDomain a.test auto\n" + _TLS, "", "a.test www.a.test"),
]

_HOSTS = ("a.test", "www.a.test", "x.a.test", "moved.a.test")


def make_server(directory: pathlib.Path, outside: str, inside: str) -> Apache:
    """The configuration of a row; the httpd is not started."""
    configuration = _FRAME.replace("@outside", outside).replace("@inside", inside)
    return Apache(directory, configuration, (*DEFAULT_MODULES, "md"))


def check(destination: Destination, host: str, managed: str) -> None:
    """Compare the evaluator's answer with a row: a dead end at the domain's line where mod_md answers, else none."""
    assert isinstance(destination, DeadEnd) == (host in managed.split()), host
    if isinstance(destination, DeadEnd):
        assert destination.reason == f"mod_md answers the challenges of {host} itself"
        assert str(destination.trail[-1]).lower().lstrip("<").startswith("mdomain")


@pytest.mark.parametrize("outside, inside, managed", _ROWS)
def test_evaluator(outside: str, inside: str, managed: str, tmp_path: pathlib.Path) -> None:
    """Our parser and the evaluator give the expected answer; no httpd is needed."""
    configuration = read_configuration(make_server(tmp_path, outside, inside))
    for host in _HOSTS:
        (destination,) = ask_evaluator(configuration, request_for(host))
        check(destination, host, managed)


@pytest.mark.lab
@pytest.mark.parametrize("outside, inside, managed", _ROWS)
def test_server(outside: str, inside: str, managed: str, tmp_path: pathlib.Path) -> None:
    """The real mod_md answers these hosts with 404, before any rule or file, and no others."""
    fill(tmp_path / "a")
    expired(tmp_path, "a.test")
    with make_server(tmp_path, outside, inside) as server:
        configurations = [dumped_configuration(server), read_configuration(server)]
        for host in _HOSTS:
            answer = ask_server(request_for(host))
            for configuration in configurations:
                (destination,) = ask_evaluator(configuration, request_for(host))
                words = described([destination])
                assert (words == ["none"] and answer == "none 404") or words == [answer], host
                check(destination, host, managed)
