"""Orders that are answered on the wire, and the application whose names need it."""
from typing import Dict
from typing import List

from tests.lab.certbot import Certbot
from tests.lab.nginx import Nginx

#: An application that fails on every request.
APPLICATION = """
import http.server
class Application(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(500)
    def log_message(self, *args):
        pass
http.server.HTTPServer(("127.0.0.1", 3000), Application).serve_forever()
"""


def order(names: str, fallback: str) -> List[str]:
    """A new certificate."""
    return ["certonly", "-a", "autowebroot", "-d", names, "--autowebroot-fallback", fallback]


def answered_by(certbot: Certbot) -> Dict[str, str]:
    """By name, the authenticator that answered, from Certbot's log."""
    words = [line.partition(" was answered by the authenticator ") for line in certbot.log.splitlines()]
    return {before.rpartition(":")[2]: after.partition(";")[0] for before, found, after in words if found}


def untouched(nginx: Nginx) -> List[object]:
    """What a reload, a restart or an edit would change."""
    return [nginx.pid, list(nginx.workers), nginx.conf.read_bytes()]
