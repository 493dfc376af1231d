"""Which roads are open to a name without a directory: by what a hop tells, and by whose server it is."""
import json
import subprocess
import sys
from pathlib import Path
from typing import Iterator
from typing import List
from typing import Optional
from typing import Sequence

import pytest

from certbot_autowebroot import settings
from certbot_autowebroot.cli import __main__ as cli
from certbot_autowebroot.order import messages
from certbot_autowebroot.order import remedies
from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Elsewhere
from certbot_autowebroot.route import End
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Hop
from certbot_autowebroot.route import PathInView
from certbot_autowebroot.route import Program
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Route
from certbot_autowebroot.route import Source
from certbot_autowebroot.route import Step
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.system import processes
from tests.lab.caddy import Caddy
from tests.lab.container import ADDRESS
from tests.lab.container import Container
from tests.lab.nginx import Nginx
from tests.lab.orders import NAME
from tests.lab.orders import names
from tests.lab.orders import place
from tests.lab.orders import solved
from tests.routing.test_containers import forwarded
from tests.routing.test_containers import ready

__all__ = ["forwarded", "names", "place"]  # fixtures

DOOR = Endpoint("203.0.113.10", 80)
CONF = "/etc/conf"


def hop(program: str, *trail: str, path: str = CHALLENGE_PATH + "token", door: Endpoint = DOOR) -> Hop:
    """A stop; the steps of its trail stand on the lines 1, 2, 3 and so on of the configuration."""
    steps = tuple(Step(text, Source(CONF, number)) for number, text in enumerate(trail, 1))
    return Hop(Program(program, 4711), Request("www.sample.com", path, "token", door), steps)


@pytest.mark.parametrize(("stop", "line"), [
    (hop("nginx", "server www.sample.com", "location /", "proxy_pass http://127.0.0.1:3000"), 1),
    (hop("openresty", "a problem", "server www.sample.com", "return 403"), 2),
    (hop("nginx", "stream server", "proxy_pass 127.0.0.1:81"), None),
    (hop("apache2", "<VirtualHost *:80> www.sample.com", "ProxyPass / http://127.0.0.1:3000/"), 1),
    (hop("httpd", "<Location />", "Require all denied"), 2),
    (hop("lighttpd", '$HTTP["host"] == "www.sample.com"', "proxy.server = (...)"), 2),
    (hop("haproxy", "frontend web", "backend app", "server app 127.0.0.1:3000"), 1),
    (hop("haproxy", "listen web", "server app 127.0.0.1:3000"), 1),
    (hop("haproxy", "frontend web (mode tcp)", "backend app"), None),
    (hop("caddy", "server srv0"), None),
    (hop("varnishd", "backend default"), None),
    (hop("node"), None),
    (hop("nginx"), None),
    (hop("nginx", "server www.sample.com", path="/token"), None),
    (hop("nginx", "server www.sample.com", door=Endpoint("172.17.0.2", 80, 4026532000)), None),
], ids=["server block", "its own name, a problem first", "a stream", "virtual host", "main server", "lighttpd",
        "frontend", "listen", "a frontend that passes on", "no Caddyfile", "no directories", "no server of ours",
        "a configuration that was not read", "another path by now", "a container's network"])
def test_where_lines_belong(stop: Hop, line: Optional[int]) -> None:
    """By the steps that the evaluators tell; None where lines would lead nowhere."""
    found = remedies.lines_at(stop)
    assert (found.block.source.line if found and found.block.source else None) == line


def test_the_site_of_a_caddy_is_found_in_its_caddyfile() -> None:
    """Its running configuration has no lines."""
    site = Step("site www.sample.com", Source("/etc/caddy/Caddyfile", 7))
    found = remedies.lines_at(hop("caddy", "server srv0", "redirect to https://other.example"), site)
    assert found is not None and found.block == site
    assert found.beaten_by is not None and found.beaten_by.text == "redirect to https://other.example"


def test_a_location_for_the_same_path_has_to_go() -> None:
    """nginx does not start with two of them; one for a part of the path may stay."""
    found = remedies.lines_at(hop("nginx", "server www.sample.com", f"location {CHALLENGE_PATH}", "return 404"))
    assert found is not None and found.replaces is not None and str(found.replaces.source) == f"{CONF}:2"
    found = remedies.lines_at(hop("nginx", "server www.sample.com", "location /.well-known/", "return 404"))
    assert found is not None and found.replaces is None


def test_haproxy_needs_a_backend_at_the_end_of_the_file() -> None:
    """The lines of the frontend name it; for the other servers there is nothing of the kind."""
    found = remedies.lines_at(hop("haproxy", "frontend web", "backend app"))
    assert found is not None and found.at_the_end[0] == "backend autowebroot"
    assert "use_backend autowebroot if" in found.lines[1]
    found = remedies.lines_at(hop("nginx", "server www.sample.com"))
    assert found is not None and found.at_the_end == ()


GUESS = Directory(PathInView("/srv"), "x", guessed=True)


@pytest.mark.parametrize(("program", "end", "is_open"), [
    ("node", Unknown("nothing looks like a web root"), True),
    ("node", GUESS, True),
    ("nginx", Unknown("a variable"), True),
    ("nginx", DeadEnd("return 403"), False),
    ("nginx", Directory(PathInView("/srv"), "x"), False),
    ("nginx", Elsewhere("192.0.2.9:80"), False),
    ("haproxy", Unknown("a variable"), False),
    ("varnishd", Unknown("a variable"), False),
])
def test_a_path_is_asked_for_where_somebody_may_know_it(program: str, end: End, is_open: bool) -> None:
    """Not where the configuration says that there is none, and not of who serves no files."""
    route = Route((hop(program),), end)
    assert list(remedies.given_paths([route], lambda _: False)) == (
        [remedies.GivenPath(Program(program, 4711))] if is_open else [])
    assert not list(remedies.given_paths([route], lambda _: True)), "a container's"


@pytest.fixture
def sleeping(request: pytest.FixtureRequest) -> Iterator[processes.Process]:
    """A process that is started in a certain way."""
    with subprocess.Popen([*request.param], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        found = processes.process(process.pid)
        assert found is not None
        yield found
        process.terminate()


def python(code: str = "") -> List[str]:
    return [sys.executable, "-c", f"import os, time; {code}\nprint('ready', flush=True); time.sleep(60)"]


@pytest.mark.lab
@pytest.mark.parametrize(("sleeping", "ours"), [
    (python(), True),
    (["unshare", "-m", *python()], True),
    (python("os.chroot('/usr')"), True),
    (["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /etc && exec "$@"', "sh", *python()], False),
    (["unshare", "-m", *python("os.system('mount -t tmpfs none /mnt && mkdir /mnt/etc && mount --bind /etc /mnt/etc'); "
                               "os.chroot('/mnt')")], False),
], ids=["ours", "PrivateTmp", "chroot", "another /etc", "another /, our /etc"], indirect=["sleeping"])
def test_whose_files_a_process_has(sleeping: processes.Process, ours: bool) -> None:
    """Mounts of its own are no container yet: Debian's Apache and Caddy run with PrivateTmp."""
    assert processes.has_our_files(sleeping) is ours


def open_roads(place: Path) -> List[str]:
    with solved(place) as solver:
        inquiry = solver.inquiries[NAME]
        return [type(road).__name__ for door in inquiry.doors.endpoints for road in remedies.open_to(inquiry, door)]


@pytest.mark.parametrize(("authenticator", "files", "option"), [
    ("nginx", ["/etc/nginx/sites-enabled/app"], ""),
    ("nginx", ["/srv/sites/app.conf", "/etc/nginx/nginx.conf"], ""),
    ("nginx", ["/opt/nginx/nginx.conf"], "--nginx-server-root"),
    ("apache", ["/etc/httpd/conf.d/app.conf"], ""),
    ("apache", ["/opt/apache/httpd.conf"], "--apache-server-root"),
    ("nginx", [], ""),
])
def test_where_an_authenticator_has_to_be_told_of_the_configuration(
        authenticator: str, files: Sequence[str], option: str) -> None:
    """Else it would edit another one, which nobody runs."""
    stop = hop(authenticator)
    trail = tuple(Step("a line", Source(file, 1)) for file in files)
    assert remedies.server_root(authenticator, [Route((stop._replace(trail=trail),), DeadEnd("no"))]) == option


@pytest.mark.lab
def test_lines_are_printed_once(place: Path) -> None:
    """In an error of many names; for the others it says where they belong."""
    config = """server { listen 80; server_name a.sample.com b.sample.com; return 403; }
                server { listen 80; server_name c.sample.com; return 404; }"""
    asked = ("a.sample.com", "b.sample.com", "c.sample.com")
    with Nginx(place / "nginx", config) as nginx, solved(place, *asked) as solver:
        said = messages.failures([solver.inquiries[name] for name in asked])
        first = 1 + next(n for n, line in enumerate(nginx.conf.read_text().splitlines()) if "a.sample.com" in line)
    block = f"into the server block at {nginx.conf}:%d, as its first lines"
    assert said.count("location ^~") == 1
    assert f"for good, put these lines {block % first}:" in said
    assert f"the lines above, {block % first}, are for this name too." in said
    assert f"put the same lines {block % (first + 1)}." in said


@pytest.mark.lab
def test_json_has_the_roads_of_a_name_that_fails(place: Path, capsys: "pytest.CaptureFixture[str]") -> None:
    """The same as the text; a name that is good has none."""
    (place / "root").mkdir()
    config = f"{SITE} server {{ listen 80; server_name good.sample.com; root {place}/root; }}"
    with Nginx(place / "nginx", config) as nginx:
        line = 1 + next(number for number, text in enumerate(nginx.conf.read_text().splitlines()) if NAME in text)
        cli.main(["check", "--json", "--work-dir", str(place / "work"), NAME, "good.sample.com"])
    bad, good = json.loads(capsys.readouterr().out)["names"]
    lines, fallback = bad["doors"][0]["roads"]
    assert (lines["kind"], lines["server"], lines["file"], lines["line"]) == ("lines", "nginx", str(nginx.conf), line)
    assert any(settings.SHARED_DIRECTORY in text for text in lines["lines"])
    assert fallback == {"kind": "authenticator", "authenticator": "nginx", "option": "--nginx-server-root"}
    assert good["doors"][0]["roads"] == []


SITE = f"server {{ listen 80; server_name {NAME}; return 403; }}"


@pytest.mark.lab
@pytest.mark.parametrize("private", [[], ["unshare", "-m"]], ids=["plain", "PrivateTmp"])
def test_a_server_of_this_machine(place: Path, private: Sequence[str]) -> None:
    """Both roads of nginx, also where systemd gives it mounts of its own."""
    nginx = Nginx(place / "nginx", SITE)
    nginx.start([*private, "nginx", "-p", str(nginx.directory), "-c", str(nginx.conf), "-e", str(nginx.error_log)])
    try:
        assert open_roads(place) == ["Lines", "Fallback"]
    finally:
        nginx.stop()


@pytest.mark.lab
def test_a_caddy_without_a_caddyfile_has_no_lines(place: Path) -> None:
    """Its configuration came as JSON, from a file or by its API: there is nothing to put lines of a Caddyfile into."""
    routes = [{"handle": [{"handler": "static_response", "status_code": 404}]}]
    (place / "caddy.json").write_text(json.dumps({"apps": {"http": {"servers": {"s": {
        "listen": [":80"], "routes": routes, "automatic_https": {"disable": True}}}}}}))
    with Caddy(place, None, argv=("caddy", "run", "--config", "caddy.json")):
        assert open_roads(place) == []


INSIDE = f"""daemon off; user root; pid /run/nginx.pid; error_log /var/log/error.log; events {{ }}
http {{ access_log off; client_body_temp_path /tmp/a; proxy_temp_path /tmp/b; fastcgi_temp_path /tmp/c;
uwsgi_temp_path /tmp/d; scgi_temp_path /tmp/e; {SITE} }}"""


@pytest.mark.lab
def test_a_server_in_a_container_has_no_road(place: Path, forwarded: None) -> None:
    """Its files are in an image, and the machine's nginx plugin would edit another nginx."""
    with Container(place / "box", "nginx -c /etc/inside.conf", {"/etc/inside.conf": INSIDE}):
        ready()
        assert open_roads(place) == []


@pytest.mark.lab
def test_a_proxy_before_a_container_has_one(place: Path) -> None:
    """The last stop that is ours."""
    site = f"server {{ listen 80; location / {{ proxy_pass http://{ADDRESS}; proxy_set_header Host $host; }} }}"
    with Container(place / "box", "nginx -c /etc/inside.conf", {"/etc/inside.conf": INSIDE}):
        ready()
        with Nginx(place / "nginx", site):
            assert open_roads(place) == ["Lines", "Fallback"]


def test_the_directory_of_the_lines_is_the_one_that_renewals_know() -> None:
    """Nothing more is to be set."""
    found = remedies.lines_at(hop("nginx", "server www.sample.com"))
    assert found is not None and any(settings.SHARED_DIRECTORY in line for line in found.lines)
