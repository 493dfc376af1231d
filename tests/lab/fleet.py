"""Three machines that serve the same names; the third is down, and nothing answers at its address."""
import contextlib
from pathlib import Path
from typing import Any
from typing import Callable
from typing import Dict
from typing import Iterator
from typing import List
from typing import Tuple

from tests.lab.apache import DEFAULT_MODULES
from tests.lab.apache import Apache
from tests.lab.caddy import Caddy
from tests.lab.haproxy import Haproxy
from tests.lab.lighttpd import Lighttpd
from tests.lab.networks import Network
from tests.lab.nginx import Nginx
from tests.lab.nginx import public_directory
from tests.lab.ports import fetch
from tests.lab.programs import plant
from tests.lab.varnish import Varnish

ADDRESSES = ("10.77.0.1", "10.77.0.2", "10.77.0.3")
NAME = "www.sample.com"
CHALLENGES = "/.well-known/acme-challenge/"


class Fleet:
    """The two machines that run; use it as a context manager.

    :ivar directories: the machines' shared directories.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self.directories = [place / f"machine{number}" / "shared" for number in (1, 2)]
        for directory in self.directories:
            directory.mkdir(parents=True)
        self._machines: List[Network] = []
        self._open = contextlib.ExitStack()

    def __enter__(self) -> "Fleet":
        self._switch = self._open.enter_context(Network())
        self._switch.ip("link add lan type bridge", "link set lan up", "addr add 10.77.0.254/24 dev lan")
        for number, address in enumerate(ADDRESSES[:2]):
            machine = self._open.enter_context(Network())
            machine.connect("eth0", self._switch, f"port{number}")
            self._switch.ip(f"link set port{number} master lan")
            machine.ip(f"addr add {address}/24 dev eth0")
            self._machines.append(machine)
        return self

    def __exit__(self, *exc: object) -> None:
        self._open.close()

    def run(self, machine: int, make: Callable[[Path], Any]) -> Any:
        """Run a program on a machine until the end; ``make`` gets an empty directory for it."""
        place = self.place / f"machine{machine + 1}" / f"program{len(list(self.place.glob('machine*/program*')))}"
        place.mkdir()
        with self._machines[machine].entered():
            return self._open.enter_context(make(place))

    def publish(self, machine: int, token: str) -> bytes:
        """Put a challenge file into the shared directory of a machine; returns its content."""
        plant(token, self.directories[machine])
        return str(self.directories[machine] / (CHALLENGES + token).lstrip("/")).encode()

    def get(self, machine: int, token: str) -> Tuple[int, bytes]:
        """The answer of a machine."""
        with self._switch.entered():
            return fetch(ADDRESSES[machine], 80, NAME, CHALLENGES + token, timeout=8)

    def location(self, machine: int, token: str) -> str:
        """The target of a machine's redirect."""
        import http.client
        with self._switch.entered(), contextlib.closing(http.client.HTTPConnection(ADDRESSES[machine])) as connection:
            connection.request("GET", CHALLENGES + token, headers={"Host": NAME})
            response = connection.getresponse()
            assert response.status == 302
            return response.headers["Location"]


@contextlib.contextmanager
def fleet() -> Iterator[Fleet]:
    """A fleet in a directory that every user may enter."""
    with public_directory() as place, Fleet(place) as machines:
        yield machines


def nginx(place: Path, lines: str) -> Nginx:
    upstream, separator, server = lines.rpartition("# File: /etc/nginx/snippets/")
    return Nginx(place, f"{upstream}server {{ listen 80; server_name {NAME}; {separator}{server}\n"
                        "deny all; return 301 https://other.example$request_uri; }")


def haproxy(place: Path, lines: str) -> Haproxy:
    rules, _, backends = lines.partition("\n\n")
    return Haproxy(place, f"""
frontend http
    bind :80
{rules}
    http-request deny
    use_backend other if TRUE
backend other
    http-request return status 200

{backends}""")


def varnish(place: Path, lines: str) -> Varnish:
    (place / "autowebroot.vcl").write_text(lines)
    return Varnish(place, f'''
backend default {{ .host = "127.0.0.1"; .port = "8080"; }}
include "{place}/autowebroot.vcl";
sub vcl_recv {{ return (synth(403)); }}''')


def caddy(place: Path, lines: str) -> Caddy:
    return Caddy(place, f"{lines}\nhttp://{NAME} {{\nimport autowebroot\nrespond 403\n}}\n", options="admin off")


def apache(place: Path, lines: str) -> Apache:
    return Apache(place, f"""Listen 80
{lines}
<VirtualHost *:80>
ServerName {NAME}
RewriteEngine On
RewriteRule ^ https://other.example%{{REQUEST_URI}} [R=301,L]
<Location />
Require all denied
</Location>
</VirtualHost>""", (*DEFAULT_MODULES, "access_compat"))


def lighttpd(place: Path, lines: str) -> Lighttpd:
    return Lighttpd(place, f'''server.port = 80
server.document-root = "/usr"
$HTTP["host"] == "{NAME}" {{ url.redirect = ( "" => "https://other.example/" ) url.access-deny = ( "" ) }}
{lines}''')


#: Runs a server with the lines in it, by the server's name; what stands beside them would stop a challenge.
FORWARDING: Dict[str, Callable[[Path, str], Any]] = {
    "nginx": nginx, "apache": apache, "lighttpd": lighttpd, "caddy": caddy, "haproxy": haproxy,
    "varnish": varnish}
