"""JkMount, as mod_jk 1.2.48 was seen to take it: that module is not among httpd's own."""
import pytest

from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.servers.apache.configuration import Configuration
from certbot_autowebroot.servers.apache.directives import Evaluated
from certbot_autowebroot.servers.apache.evaluator import evaluate
from certbot_autowebroot.servers.apache.parser import Parser
from certbot_autowebroot.system.views import View
from tests.lab.random.apache_oracle import PATH
from tests.lab.random.apache_oracle import Asked


@pytest.mark.parametrize("outside, inside, ends", [
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
def test_what_is_mounted_is_the_servlet_containers(outside: str, inside: str, ends: str) -> None:
    """It takes a path from Alias and DocumentRoot, not from a redirect; the dead end names the line."""
    text = f"{outside}\n<VirtualHost *:80>\nServerName a.test\nDocumentRoot /srv/a\n{inside}\n</VirtualHost>\n"
    configuration = Configuration(Evaluated(Parser(View.of_host(), "/", {}).text(text, "httpd.conf")))
    (end,) = evaluate(configuration, Asked("a.test").request, View.of_host(), lambda directory, above: None)
    if isinstance(end, DeadEnd):
        assert end.reason == "a servlet container answers"
        assert str(end.trail[-1]).startswith(f"{ends} (httpd.conf:")
    else:
        assert ends in str(end)
