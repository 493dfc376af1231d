"""The remedies for a name without a directory: by the trail of a hop, and by where its server runs."""
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict
from typing import Iterator
from typing import List
from typing import Optional
from typing import Sequence

import pytest

from certbot_autowebroot import settings
from certbot_autowebroot.cli import __main__ as cli
from certbot_autowebroot.interfaces import SiteLines
from certbot_autowebroot.order import messages
from certbot_autowebroot.order import other_authenticators
from certbot_autowebroot.order import remedies
from certbot_autowebroot.order import trial
from certbot_autowebroot.order.advice import what_to_do
from certbot_autowebroot.order.inquiry import Candidates
from certbot_autowebroot.order.inquiry import Outcome
from certbot_autowebroot.order.trial import Effect
from certbot_autowebroot.responders.wire import responder
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
from certbot_autowebroot.servers.caddy import sites
from certbot_autowebroot.servers.caddy import snippet as caddy_snippet
from certbot_autowebroot.servers.haproxy import snippet as haproxy_snippet
from certbot_autowebroot.system import processes
from tests.lab.caddy import Caddy
from tests.lab.container import ADDRESS
from tests.lab.container import Container
from tests.lab.container_nginx import forwarded
from tests.lab.container_nginx import wait_for_answer
from tests.lab.net import PUBLIC_V4
from tests.lab.net import PUBLIC_V6
from tests.lab.nginx import Nginx
from tests.lab.orders import NAME
from tests.lab.orders import names
from tests.lab.orders import place
from tests.lab.orders import solved
from tests.lab.table import front
from tests.lab.table import process_of

__all__ = ["forwarded", "names", "place"]  # fixtures

ENDPOINT = Endpoint("203.0.113.10", 80)
CONF = "/etc/conf"


def hop(program: str, *trail: str, path: str = CHALLENGE_PATH + "token", endpoint: Endpoint = ENDPOINT) -> Hop:
    """A hop; the steps of its trail stand on the lines 1, 2, 3 and so on of the configuration."""
    steps = tuple(Step(text, Source(CONF, number)) for number, text in enumerate(trail, 1))
    return Hop(Program(program, 4711), Request("www.sample.com", path, "token", endpoint), steps)


def lines_at(hop: Hop) -> Optional[SiteLines]:
    """The lines for a process of the hop's program."""
    remedy = remedies.lines_at(hop, process_of(hop.program.name))
    return remedy.lines if remedy else None


@pytest.mark.parametrize(("hop", "line"), [
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
    (hop("nginx", "server www.sample.com", endpoint=Endpoint("172.17.0.2", 80, 4026532000)), None),
], ids=["server block", "its own name, a problem first", "a stream", "virtual host", "main server", "lighttpd",
        "frontend", "listen", "a frontend that passes on", "no Caddyfile", "no directories", "no server of ours",
        "a configuration that was not read", "another path by now", "a container's network"])
def test_where_lines_belong(hop: Hop, line: Optional[int]) -> None:
    """By the steps of the trail; None where lines would not help."""
    found = lines_at(hop)
    assert (found.source.line if found else None) == line


def test_caddys_lines_belong_into_its_caddyfile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its running configuration has no lines."""
    source = Source("/etc/caddy/Caddyfile", 7)
    monkeypatch.setattr(sites, "site", lambda process, host: Step(f"site {host}", source))
    found = lines_at(hop("caddy", "server srv0", "redirect to https://other.example"))
    assert found is not None and found.source == source
    assert found.where == f"into the block of site www.sample.com at {source}"
    assert 'put what says "redirect to https://other.example' in found.besides


def test_a_location_for_the_same_path_has_to_go() -> None:
    """nginx does not start with two of them; one for a part of the path may stay."""
    found = lines_at(hop("nginx", "server www.sample.com", f"location {CHALLENGE_PATH}", "return 404"))
    assert found is not None and found.where.endswith(f", in place of its location at {CONF}:2")
    found = lines_at(hop("nginx", "server www.sample.com", "location /.well-known/", "return 404"))
    assert found is not None and "in place" not in found.where


def test_apache_with_order_needs_satisfy() -> None:
    """``Deny`` of Apache 2.2 counts besides ``Require``."""
    for refusal, expected in (("Deny from all", True), ("Require all denied", False)):
        found = lines_at(hop("httpd", "<VirtualHost *:80> www.sample.com", refusal))
        assert found is not None and ("        Satisfy Any" in found.lines) is expected


def test_apache_with_jk_needs_its_variable() -> None:
    """mod_jk passes on what mod_rewrite has mapped to a file, unless ``no-jk`` is set."""
    for step, expected in (("JkMount /* tomcat", True), ("ProxyPass / http://127.0.0.1/", False)):
        found = lines_at(hop("httpd", "<VirtualHost *:80> www.sample.com", step))
        assert found is not None and found.lines[0].endswith(" no-jk") is expected


def test_haproxy_needs_a_backend_at_the_end_of_the_file() -> None:
    """The frontend's lines name it; other servers need none."""
    found = lines_at(hop("haproxy", "frontend web", "backend app"))
    assert found is not None and found.at_the_end[0] == "backend autowebroot"
    assert "use_backend autowebroot if" in found.lines[1]
    found = lines_at(hop("nginx", "server www.sample.com"))
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
    ("haproxy", DeadEnd("HAProxy answers itself", (Step("http-request use-service lua.acme_http01 if acme"),)), True),
])
def test_where_a_path_is_asked_for(program: str, end: End, is_open: bool) -> None:
    """Not where the configuration names a dead end, and not for a server that serves no files."""
    route = Route((hop(program),), end)
    assert list(remedies.paths_to_give([route], lambda _: False)) == (
        [remedies.GivePath(Program(program, 4711))] if is_open else [])
    assert not list(remedies.paths_to_give([route], lambda _: True)), "a container's"


@pytest.fixture
def sleeping(request: pytest.FixtureRequest) -> Iterator[processes.Process]:
    """A process, started by a given command."""
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
def test_has_our_files(sleeping: processes.Process, ours: bool) -> None:
    """Mounts of its own are no container yet: Debian's Apache and Caddy run with PrivateTmp."""
    assert processes.has_our_files(sleeping) is ours


def remedies_for(place: Path) -> List[str]:
    with solved(place) as solver:
        outcome = solver.outcomes[NAME]
        return [type(remedy).__name__ for endpoint in outcome.front.endpoints
                for remedy in remedies.remedies_for(outcome, endpoint)]


@pytest.mark.parametrize(("authenticator", "files", "option"), [
    ("nginx", ["/etc/nginx/sites-enabled/app"], ""),
    ("nginx", ["/srv/sites/app.conf", "/etc/nginx/nginx.conf"], ""),
    ("nginx", ["/opt/nginx/nginx.conf"], "--nginx-server-root"),
    ("apache", ["/etc/httpd/conf.d/app.conf"], ""),
    ("apache", ["/opt/apache/httpd.conf"], "--apache-server-root"),
    ("nginx", [], ""),
])
def test_server_root_option(
        authenticator: str, files: Sequence[str], option: str) -> None:
    """Without it an authenticator would edit a configuration that no server runs."""
    first = hop(authenticator)
    trail = tuple(Step("a line", Source(file, 1)) for file in files)
    assert remedies.server_root(authenticator, [Route((first._replace(trail=trail),), DeadEnd("no"))]) == option


@pytest.mark.lab
def test_lines_are_printed_once(place: Path) -> None:
    """In an error of many names; the other names get the place where they belong."""
    config = """server { listen 80; server_name a.sample.com b.sample.com; return 403; }
                server { listen 80; server_name c.sample.com; return 404; }"""
    asked = ("a.sample.com", "b.sample.com", "c.sample.com")  # the first two share a tree
    with Nginx(place / "nginx", config) as nginx, solved(place, *asked) as solver:
        said = "\n\n".join(messages.failures([solver.outcomes[name] for name in asked]))
        first = 1 + next(n for n, line in enumerate(nginx.conf.read_text().splitlines()) if "a.sample.com" in line)
    block = f"into the server block at {nginx.conf}:%d, as its first lines"
    assert said.count("location ^~") == 1
    assert f"for good, put these lines {block % first}:" in said
    assert "a.sample.com, b.sample.com: would fail\n" in said
    assert f"put the lines for {asked[0]} {block % (first + 1)}." in said


@pytest.mark.lab
def test_json_has_the_remedies(place: Path, capsys: "pytest.CaptureFixture[str]") -> None:
    """The same as the text; a name that is good has none."""
    (place / "root").mkdir()
    config = f"{SITE} server {{ listen 80; server_name good.sample.com; root {place}/root; }}"
    with Nginx(place / "nginx", config) as nginx:
        line = 1 + next(number for number, text in enumerate(nginx.conf.read_text().splitlines()) if NAME in text)
        cli.main(["check", "--json", "--work-dir", str(place / "work"), NAME, "good.sample.com"])
    bad, good = json.loads(capsys.readouterr().out)["names"]
    lines, wire, fallback = bad["endpoints"][0]["remedies"]
    assert (lines["kind"], lines["server"], lines["file"], lines["line"]) == ("lines", "nginx", str(nginx.conf), line)
    assert any(settings.SHARED_DIRECTORY in text for text in lines["lines"])
    assert wire == {"kind": "wire"}
    assert fallback == {"kind": "authenticator", "authenticator": "nginx", "option": "--nginx-server-root"}
    assert good["endpoints"][0]["remedies"] == []


SITE = f"server {{ listen 80; server_name {NAME}; return 403; }}"


@pytest.mark.lab
@pytest.mark.parametrize("name", ["nginx", "angie"])
@pytest.mark.parametrize("private", [[], ["unshare", "-m"]], ids=["plain", "PrivateTmp"])
def test_a_server_of_this_machine(place: Path, private: Sequence[str], name: str) -> None:
    """Both remedies for nginx and its forks, also where systemd gives it mounts of its own."""
    program = place / name
    shutil.copy("/usr/sbin/nginx", program)
    nginx = Nginx(place / "conf", SITE)
    nginx.start([*private, str(program), "-p", str(nginx.directory), "-c", str(nginx.conf), "-e",
                 str(nginx.error_log)])
    try:
        assert remedies_for(place) == ["AddLines", "AnswerOnTheWire", "UseAuthenticator"]
    finally:
        nginx.stop()


@pytest.mark.lab
def test_caddy_without_caddyfile_has_no_lines(place: Path) -> None:
    """Its configuration is JSON from a file or from its API, which takes no lines of a Caddyfile."""
    routes = [{"handle": [{"handler": "static_response", "status_code": 404}]}]
    (place / "caddy.json").write_text(json.dumps({"apps": {"http": {"servers": {"s": {
        "listen": [":80"], "routes": routes, "automatic_https": {"disable": True}}}}}}))
    with Caddy(place, None, argv=("caddy", "run", "--config", "caddy.json")):
        assert remedies_for(place) == ["AnswerOnTheWire"]


INSIDE = f"""daemon off; user root; pid /run/nginx.pid; error_log /var/log/error.log; events {{ }}
http {{ access_log off; client_body_temp_path /tmp/a; proxy_temp_path /tmp/b; fastcgi_temp_path /tmp/c;
uwsgi_temp_path /tmp/d; scgi_temp_path /tmp/e; {SITE} }}"""


@pytest.mark.lab
def test_server_in_a_container_is_answered_on_the_wire(place: Path, forwarded: None) -> None:
    """Its files are in an image, and the machine's nginx plugin would edit another nginx."""
    with Container(place / "box", "nginx -c /etc/inside.conf", {"/etc/inside.conf": INSIDE}):
        wait_for_answer()
        assert remedies_for(place) == ["AnswerOnTheWire"]


@pytest.mark.lab
def test_impossible_wire_is_not_proposed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither as a remedy nor at a terminal."""
    monkeypatch.setattr(responder, "why_not", lambda network: "the program nft is not installed (package nftables)")
    with Nginx(place / "nginx", SITE), solved(place) as solver:
        outcome = solver.outcomes[NAME]
        found = remedies.remedies_for(outcome, outcome.failing[0])
        assert remedies.AnswerOnTheWire() not in found and found
        assert other_authenticators.offers_of_wire([outcome]) == []


@pytest.mark.lab
def test_a_proxy_before_a_container_has_a_remedy(place: Path) -> None:
    """The last hop that is in no container."""
    site = f"server {{ listen 80; location / {{ proxy_pass http://{ADDRESS}; proxy_set_header Host $host; }} }}"
    with Container(place / "box", "nginx -c /etc/inside.conf", {"/etc/inside.conf": INSIDE}):
        wait_for_answer()
        with Nginx(place / "nginx", site):
            assert remedies_for(place) == ["AddLines", "AnswerOnTheWire", "UseAuthenticator"]


def test_lines_name_the_shared_directory() -> None:
    """Renewals try it without an option."""
    found = lines_at(hop("nginx", "server www.sample.com"))
    assert found is not None and any(settings.SHARED_DIRECTORY in line for line in found.lines)


@pytest.mark.lab
def test_token_is_printed_as_a_word(place: Path, capsys: "pytest.CaptureFixture[str]") -> None:
    """In the steps, reasons and answers of every output; the random name of the test file helps no reader."""
    config = f"server {{ listen 80; server_name {NAME}; root /nowhere; " \
             "if (!-f $request_filename) { return 302 /gone$uri; } location /gone { deny all; } }"
    with Nginx(place / "nginx", config), solved(place) as solver:
        outcome = solver.outcomes[NAME]
        said = messages.failure(outcome)
        assert outcome.candidates.token not in said and "TOKEN" in said
        for options in ([], ["--json"]):
            cli.main(["check", *options, "--work-dir", str(place / "work"), NAME])
            text = capsys.readouterr().out
            assert "TOKEN" in text and not re.search(r"acme-challenge/(?!TOKEN)[\w-]{30}", text), text


@pytest.mark.parametrize(("target", "resolves", "advice"), [
    ("https://cloud.example.com.well-known/acme-challenge/token", False,
     "put a slash behind cloud.example.com in the redirect (Redirect / https://cloud.example.com (/etc/conf:3)): "
     "without it, the path becomes a part of the host name."),
    ("https://gone.example/", False,
     "correct the redirect (Redirect / https://cloud.example.com (/etc/conf:3)): gone.example does not resolve."),
    ("https://other.example/", True, "run Certbot on other.example."),
])
def test_advice_for_a_redirect_away(target: str, resolves: bool, advice: str) -> None:
    """Certbot cannot run on a host that does not exist."""
    trail = (Step("Redirect / https://cloud.example.com", Source(CONF, 3)),)
    route = Route((hop("apache2"),), Elsewhere(target, trail, resolves))
    outcome = Outcome(Candidates("www.sample.com", front(ENDPOINT), "token", {ENDPOINT: [route]}))
    said = what_to_do(outcome, [ENDPOINT], {})
    assert any(advice in line for line in said), said


@pytest.mark.lab
def test_read_only_mount_names_read_write_paths(place: Path) -> None:
    """ProtectSystem makes the mounts of Certbot's unit read-only, and no server runs in a container."""
    root = place / "root"
    root.mkdir()
    subprocess.run(["mount", "--bind", root, root], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", root], check=True)
        site = f"server {{ listen 80; server_name {NAME}; root {root}; }}"
        with Nginx(place / "conf", site), solved(place) as solver:
            said = messages.failure(solver.outcomes[NAME])
    finally:
        subprocess.run(["umount", root], check=True)
    assert f"Certbot's systemd unit makes it so (ProtectSystem), add to it: ReadWritePaths={root}\n" in said
    assert "container" not in said


@pytest.mark.parametrize(("line", "expected"), [
    ("redirect scheme https", "redirect scheme https unless {0}"),
    ("redirect scheme https if !{{ ssl_fc }}", "redirect scheme https if !{{ ssl_fc }} !{0}"),
    ("redirect scheme https if a b or c", "redirect scheme https if a b !{0} or c !{0}"),
    ("redirect scheme https unless a", "redirect scheme https unless a or {0}"),
])
def test_haproxy_rule_leaves_the_path_out(line: str, expected: str) -> None:
    """A second ``unless`` behind an ``if`` would be an error."""
    condition = f"{{ path_beg {CHALLENGE_PATH} }}"
    assert haproxy_snippet.excepted(line.format()) == expected.format(condition)


@pytest.mark.lab
def test_missing_listen_for_ipv6(place: Path, names: Dict[str, List[str]]) -> None:
    """The AAAA record leads to the default server: one line, which visitors need as well; it works literally."""
    names[NAME] = [PUBLIC_V4, PUBLIC_V6]
    (place / "root").mkdir()
    config = f"""server {{ listen 80 default_server; listen [::]:80 default_server; return 404; }}
                 server {{
                     listen 80; server_name {NAME}; root {place}/root; }}"""
    with Nginx(place / "conf", config) as nginx:
        with solved(place) as solver:
            said = messages.failure(solver.outcomes[NAME])
        found = re.search(r"for good, put these lines into the server block at \S+:(\d+), as its first line, .*\n"
                          r"\s+(listen \[::\]:80;)\n", said)
        assert found, said
        lines = nginx.conf.read_text().splitlines()
        lines[int(found[1]):int(found[1])] = [found[2]]
        nginx.conf.write_text("\n".join(lines))
        nginx.reload()
        with solved(place) as solver:
            assert solver.outcomes[NAME].is_served


PANEL = """#=====================================================================#
# Default Web Domain Template                                          #
# DO NOT MODIFY THIS FILE! CHANGES WILL BE LOST WHEN REBUILDING DOMAINS #
#=====================================================================#
server {{
    listen 80;
    server_name {name};
    {first}
    location / {{ return 404; }}
    include {place}/nginx.conf_*;
}}
"""


@pytest.mark.lab
@pytest.mark.parametrize(("first", "is_included"), [("", True), ("return 301 https://other.example/;", False)])
def test_file_of_a_panel(place: Path, first: str, is_included: bool) -> None:
    """It overwrites edits: the lines go into a file that it includes, where they help there."""
    nginx = Nginx(place / "conf", "include {dir}/sites/*.conf;")
    site = nginx.write("sites/a.conf", PANEL.format(name=NAME, place=place, first=first))
    with nginx, solved(place) as solver:
        said = messages.failure(solver.outcomes[NAME])
    notice = "DO NOT MODIFY THIS FILE! CHANGES WILL BE LOST WHEN REBUILDING DOMAINS"
    assert (f"into a new file that {site}:10 includes ({place}/nginx.conf_*), for the program that writes {site} "
            "overwrites edits:" in said) is is_included, said
    assert (f'but {site} says "{notice}": the program that writes it will' in said) is not is_included, said


@pytest.mark.lab
@pytest.mark.parametrize(("first", "expected"), [("respond 404", Effect.HELPS),
                                                 ("redir https://other.example{uri}", Effect.IN_VAIN)])
def test_trial_of_caddys_lines(place: Path, first: str, expected: Effect) -> None:
    """The Caddyfile is adapted from memory: the running configuration has no lines, and stays as it is."""
    with Caddy(place, f"http://{NAME} {{\n{first}\n}}\n") as caddy:
        found = processes.process(caddy.pid)
        assert found is not None
        request = Request(NAME, CHALLENGE_PATH + "token", "token", Endpoint(PUBLIC_V4, 80))
        *_, lines = caddy_snippet.for_site(found, request, (), settings.SHARED_DIRECTORY)
        assert trial.tried(found, request, lines.edits).effect is expected
