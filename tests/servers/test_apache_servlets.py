"""JkMount as mod_jk 1.2.48 applied it in a trial; Debian's httpd does not include that module."""
import pytest

from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.servers.apache.configuration import Configuration
from certbot_autowebroot.servers.apache.directives import ConfigurationTree
from certbot_autowebroot.servers.apache.evaluator import evaluate
from certbot_autowebroot.servers.apache.parser import Parser
from certbot_autowebroot.system.views import View
from tests.lab.random.apache_oracle import PATH
from tests.lab.random.apache_oracle import request_for


@pytest.mark.parametrize("outside, inside, expected", [
    ("", "JkMount /* tomcat", "JkMount /* tomcat"),
    ("", "Alias /.well-known /srv/b\nJkMount /* tomcat", "JkMount /* tomcat"),
    ("", "JkMount /.well-known|/* tomcat", "JkMount /.well-known|/* tomcat"),
    ("", "JkMount /* tomcat\nJkUnMount /.well-known/* tomcat", f"/srv/a{PATH}"),
    ("", "JkMount /* tomcat\nJkUnMount /.well-known/* *", f"/srv/a{PATH}"),
    ("", "JkMount /* tomcat\nJkUnMount /.well-known/* other", "JkMount /* tomcat"),
    ("", "JkMount /* tomcat\nSetEnvIf Request_URI ^/\\.well-known/ no-jk", f"/srv/a{PATH}"),
    ("", "JkMount /app|/* tomcat\nJkMount /*.jsp tomcat", f"/srv/a{PATH}"),
    ("JkMount /* tomcat", "", f"/srv/a{PATH}"),
    ("JkMount /* tomcat", "JkMountCopy On", "JkMount /* tomcat"),
    ("JkMount /* tomcat\nJkMountCopy All", "", "JkMount /* tomcat"),
    ("", "JkMount /* tomcat\nRedirect / https://other.test/", f"https://other.test{PATH}"),
    ("", "JkMount /* tomcat\nProxyPass / http://127.0.0.1:8081/", "127.0.0.1:8081"),
])
def test_evaluator(outside: str, inside: str, expected: str) -> None:
    """JkMount precedes Alias and DocumentRoot, not a redirect; the dead end names the line."""
    text = f"{outside}\n<VirtualHost *:80>\nServerName a.test\nDocumentRoot /srv/a\n{inside}\n</VirtualHost>\n"
    configuration = Configuration(ConfigurationTree(Parser(View.of_host(), "/", {}).text(text, "httpd.conf")))
    (destination,) = evaluate(configuration, request_for("a.test"), View.of_host(), lambda directory, above: None)
    if isinstance(destination, DeadEnd):
        assert destination.reason == "a servlet container answers"
        assert str(destination.trail[-1]).startswith(f"{expected} (httpd.conf:")
    else:
        assert expected in str(destination)
