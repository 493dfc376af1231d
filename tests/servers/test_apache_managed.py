"""mod_md's own domains: what we say of a challenge there is what a real httpd with mod_md does."""
import pathlib

import pytest

from certbot_autowebroot.route import DeadEnd
from tests.lab.apache import DEFAULT_MODULES
from tests.lab.apache import Apache
from tests.lab.certificates import expired
from tests.lab.random.apache_oracle import Asked
from tests.lab.random.apache_oracle import Evaluators
from tests.lab.random.apache_oracle import fetch
from tests.lab.random.apache_oracle import fill
from tests.lab.random.apache_oracle import ours

_FRAME = """
Listen 80
Listen 443
ServerName main.test
MDStoreDir {dir}/md
MDCertificateAgreement accepted
<Directory {dir}>
Require all granted
</Directory>
@said
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


@pytest.mark.parametrize("said, inside, md", [
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
])
def test_what_mod_md_renews_by_http_it_answers_itself(said: str, inside: str, md: str, tmp_path: pathlib.Path) -> None:
    """With 404 before any rule or file, and the dead end names its line; everything else it leaves alone."""
    fill(tmp_path / "a")
    expired(tmp_path, "a.test")
    configuration = _FRAME.replace("@said", said).replace("@inside", inside)
    with Apache(tmp_path, configuration, (*DEFAULT_MODULES, "md")) as server:
        evaluators = Evaluators(server)
        for host in ("a.test", "www.a.test", "x.a.test", "moved.a.test"):
            for known in (evaluators.dumped, evaluators.read):
                (end,) = evaluators.destinations(Asked(host), known)
                answer = fetch(Asked(host))
                assert (ours([end]) == ["none"] and answer == "none 404") or ours([end]) == [answer], host
                assert isinstance(end, DeadEnd) == (host in md.split())
                if isinstance(end, DeadEnd):
                    assert end.reason == f"mod_md answers the challenges of {host} itself"
                    assert str(end.trail[-1]).lower().lstrip("<").startswith("mdomain")
