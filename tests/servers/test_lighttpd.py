"""lighttpd: the evaluator against a table, and both against the real lighttpd."""
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from zope.interface.verify import verifyClass

from certbot_autowebroot.interfaces import IWebServer
from certbot_autowebroot.route import Source
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.servers.lighttpd import LighttpdServer
from certbot_autowebroot.servers.lighttpd import config
from certbot_autowebroot.servers.lighttpd import evaluate
from tests.lab.cases import PATH
from tests.lab.cases import TOKEN
from tests.lab.cases import check_evaluator
from tests.lab.cases import check_server
from tests.lab.cases import request_for
from tests.lab.lighttpd import Lighttpd
from tests.lab.lighttpd_table import CASES
from tests.lab.lighttpd_table import ROOT
from tests.lab.programs import Echo
from tests.lab.programs import assert_true
from tests.lab.programs import brief
from tests.lab.programs import plant

PLACES = ("main", "one", "two", "vhosts/www.sample.com/htdocs", "vhosts/default/htdocs", "ev/sample.com/www",
          "ev/com/s", "relative", "one/sub", "main/sub", "caps/ann")


@pytest.fixture(scope="module")
def directory():
    """The files that the configurations name."""
    path = Path(tempfile.mkdtemp(prefix="lighttpd-lab-"))
    path.chmod(0o755)
    plant(TOKEN, *(path / name for name in PLACES))
    plant(TOKEN, *(path / name for name in PLACES), below="")
    plant(TOKEN, path / "one", below="acme-challenge")
    plant(TOKEN, path / "main/sub", below="acme-challenge")
    plant("x" + TOKEN, path, below="")
    (path / "conf.d").mkdir()
    (path / "conf.d" / "10-a.conf").write_text(f'$HTTP["host"] == "a" {{ server.document-root = "{path}/one" }}')
    (path / "conf.d" / "20-b.conf").write_text(f'$HTTP["host"] == "b" {{ server.document-root = "{path}/two" }}')
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def lab_directory(directory):
    """The same with running backends."""
    with Echo("127.0.0.1:8001", "127.0.0.1:8002", f"{directory}/echo.sock"):
        yield directory


PROXY = 'proxy.server = ("" => (("host" => "127.0.0.1", "port" => 8001)))'


@pytest.mark.parametrize("text, expected", CASES.values(), ids=CASES)
def test_evaluator(directory, text, expected):
    """The evaluator gives the expected column."""
    check_evaluator(LighttpdServer(), Lighttpd(directory, text).simulated_process, expected, directory)


@pytest.mark.lab
@pytest.mark.parametrize("text, expected", CASES.values(), ids=CASES)
def test_real_server(lab_directory, text, expected):
    """The real server does what the evaluator says."""
    with Lighttpd(lab_directory, text) as server:
        check_server(LighttpdServer(), server, expected, lab_directory)


@pytest.mark.lab
@pytest.mark.parametrize("modules, text, expected", [
    (["mod_access"], ROOT + 'alias.url = ("/" => "{dir}/one/")', "main"),
    (["mod_redirect", "mod_access"], 'url.redirect = ("" => "https://x/") url.access-deny = ("")', "301 https://x/"),
    (["mod_access", "mod_redirect"], 'url.redirect = ("" => "https://x/") url.access-deny = ("")', "dead end"),
    (["mod_proxy", "mod_redirect"], f'url.redirect = ("" => "https://x/") {PROXY}', "301 https://x/"),
    (["mod_proxy", "mod_access"], f'url.access-deny = ("") {PROXY}', "dead end"),
    (["mod_cgi", "mod_proxy"], f'cgi.assign = ("" => "/bin/true") {PROXY}', f"to 127.0.0.1:8001 x {PATH}"),
    (["mod_evhost", "mod_simple_vhost"], 'simple-vhost.server-root = "{dir}" simple-vhost.default-host = "one"\n'
     'evhost.path-pattern = "{dir}/two"', "one"),
    (["mod_simple_vhost", "mod_evhost"], 'simple-vhost.server-root = "{dir}" simple-vhost.default-host = "one"\n'
     'evhost.path-pattern = "{dir}/two"', "two"),
    (["mod_redirect", "mod_rewrite"], 'url.redirect = ("^/x" => "https://x/") url.rewrite-once = ("^/(.*)" => "/x")',
     "301 https://x/"),
], ids=["not loaded", "redirect, access", "access, redirect", "proxy, redirect", "proxy, access", "cgi, proxy",
        "evhost, simple", "simple, evhost", "rewrite is first"])
def test_order_of_modules(lab_directory, modules, text, expected):
    """The order of server.modules decides; a setting of a module that is not loaded has no effect."""
    with Lighttpd(lab_directory, ROOT * ("document-root" not in text) + text, modules=modules) as server:
        [destination] = LighttpdServer().ask(server.process, request_for("x"))
        assert brief(destination, lab_directory) == expected
        assert_true(destination, server.get(request_for("x")))


@pytest.mark.lab
def test_chroot(lab_directory):
    """The configuration is found outside of the chroot, the directory inside."""
    text = 'server.chroot = "{dir}/chroot"\nserver.document-root = "/main"\n'
    plant(TOKEN, lab_directory / "chroot" / "main")
    os.makedirs(lab_directory / "chroot" / lab_directory.relative_to("/"))
    with Lighttpd(lab_directory, text) as server:
        [destination] = LighttpdServer().ask(server.process, request_for("x"))
        assert destination.root == "/main"
        assert server.process.view.read(str(destination)).decode() == server.get(request_for("x")).body


@pytest.mark.lab
def test_condition_on_client(lab_directory):
    """Both destinations are named, that of other clients first; the CA is another client than our probe."""
    text = ROOT + '''
        $HTTP["remoteip"] == "127.0.0.0/8" { server.document-root = "{dir}/one" }
        $HTTP["host"] == "b" { $HTTP["remoteip"] != "127.0.0.1" { url.access-deny = ("") } }
        $HTTP["host"] == "c" { $HTTP["useragent"] =~ "curl" { server.tag = "x" } }
    '''
    with Lighttpd(lab_directory, text) as server:
        answers = {host: LighttpdServer().ask(server.process, request_for(host)) for host in "ab"}
        assert [brief(d, lab_directory) for d in answers["a"]] == ["main", "one"]
        assert [brief(d, lab_directory) for d in answers["b"]] == ["dead end", "main", "one"]
        assert all(d.depends_on_client for d in answers["a"])
        assert_true(answers["a"][1], server.get(request_for("a")))


@pytest.mark.parametrize("operator, admits_some", [("!=", True), ("==", False)])
def test_allow_list(operator, admits_some):
    """A CA's address is on no list: an allow-list refuses it, a deny-list does not."""
    destinations = answer_to('server.modules = ("mod_access") server.document-root = "/a" '
                             f'$HTTP["remoteip"] {operator} "10.0.0.0/8" {{ url.access-deny = ("") }}')
    served = [d for d in destinations if hasattr(d, "root")]
    assert [any(step.admits_some for step in d.trail) for d in served] == [admits_some]


def test_allow_list_names_its_line():
    """Other addresses get a redirect: the line that sends them there is named, with its number."""
    destinations = answer_to('server.modules = ("mod_redirect")\nserver.document-root = "/a"\n'
                             '$HTTP["remoteip"] != "10.0.0.0/8" {\n url.redirect = ("" => "https://other.test/")\n}\n')
    served = next(d for d in destinations if hasattr(d, "root"))
    assert next(str(step) for step in served.trail if step.admits_some).endswith("lighttpd.conf:4)")


def test_irrelevant_condition():
    """Both alternatives have the same directory, which does not depend on the client."""
    destinations = answer_to('server.document-root = "/a" $HTTP["useragent"] =~ "curl" { server.tag = "x" '
                             'server.x = "y" }')
    assert [(d.root, d.depends_on_client) for d in destinations] == [("/a", False)]


def test_password():
    """The directory is known; whether a client gets the file is not."""
    [destination] = answer_to('server.modules = ("mod_auth") server.document-root = "/a" '
                   'auth.require = ("/" => ("method" => "x"))')
    assert (destination.root, destination.depends_on_client) == ("/a", True)


def answer_to(text, host="www.sample.com", files=None):
    """The destinations in a configuration that no server runs."""
    content = {"/etc/lighttpd/lighttpd.conf": text.encode(), **(files or {})}

    def read(path):
        if path not in content:
            raise FileNotFoundError(2, "No such file or directory", path)
        return content[path]
    parsed = config.parse("/etc/lighttpd/lighttpd.conf", config.Files(read, lambda path: [path], {"HOME": "/home/a"}))
    return evaluate.destinations(parsed, request_for(host), lambda path: True)


@pytest.mark.parametrize("condition, expected", [
    ('$HTTP["useragent"] =~ "letsencrypt"', "/b"), ('$HTTP["useragent"] =~ "bot|spider"', "/a"),
    ('$REQUEST_HEADER["User-Agent"] =~ "Let"', "/b"), ('$HTTP["referer"] =~ "."', "/a")])
def test_headers_of_the_ca(condition, expected):
    """Its User-Agent is public; without a redirect before, it sends no Referer."""
    destinations = answer_to(f'server.document-root = "/a" {condition} {{ server.document-root = "/b" }}')
    assert [(d.root, d.depends_on_client) for d in destinations] == [(expected, False)]


def test_trail():
    """It names the condition and the directive that decide, with file and line."""
    [destination] = answer_to('server.document-root = "/a"\n\n'
                              '$HTTP["host"] =~ "www" {\n  server.document-root = "/b"\n}\n')
    assert [(step.text, step.source) for step in destination.trail] == [
        ('$HTTP["host"] =~ "www"', Source("/etc/lighttpd/lighttpd.conf", 3)),
        ('server.document-root = "/b"', Source("/etc/lighttpd/lighttpd.conf", 4))]


@pytest.mark.parametrize("text, reason", [
    ('include_shell "cat /etc/x.conf"', "/etc/x.conf cannot be read: No such file"),
    ('include_shell "cat $HOME/x.conf"', 'what include_shell "cat $HOME/x.conf" printed'),
    ('include_shell "cat /etc/x.conf; date"', "x.conf; date"),
    ('include "gone.conf"', "/etc/lighttpd/gone.conf cannot be read: No such file"),
])
def test_unknown_part(text, reason):
    """The rest of the configuration counts, and the unknown part comes last."""
    destinations = answer_to('server.document-root = "/a"\n' + text)
    assert destinations[0].root == "/a"
    assert isinstance(destinations[1], Unknown)
    assert reason in destinations[1].reason


def test_environment():
    """env.X is a variable of the server's environment."""
    assert answer_to('server.document-root = env.HOME + "/www"')[0].root == "/home/a/www"


@pytest.mark.parametrize("text, reason", [
    ('url.redirect = ("(a+)+$" => "https://x/")', "takes too long"),
    ('url.redirect = ("^/(.*)" => "https://${url.unheard}/")', "url.unheard"),
    ('$HTTP["host"] =~ "(?|a)" { server.tag = "x" server.document-root = "/b" }', "only PCRE"),
    ('server.modules += ("mod_magnet") magnet.attract-raw-url-to = ("/x.lua")', "Lua"),
    ('server.modules += ("mod_vhostdb") vhostdb.backend = "dbi"', "database"),
])
def test_unknown_value(text, reason):
    """The destination is unknown, with the reason."""
    [destination] = answer_to('server.modules = ("mod_redirect") server.document-root = "/a"\n' + text,
                   "x/" + "a" * 40 + "!")
    assert isinstance(destination, Unknown)
    assert reason in destination.reason


@pytest.mark.parametrize("text", [
    "\x00\xff", "server.document-root", 'server.document-root = ', 'x = "unterminated', "}", "{", "else { }", "x = )",
    'x = ("a" => )', 'x = ("a"', '$HTTP["host"', '$HTTP["host"] == "a"', '$HTTP["host"] == "a" {', "x = var.none",
    "= 1", 'x = "a" + ("b")', "include 5", "x ^ 5", '$HTTP["host"] ? "a" { }', "else", "global", "x += ",
    'include "lighttpd.conf"',
], ids=lambda text: repr(text[:20]))
def test_refused_configuration(text):
    """The parser refuses it with file and line."""
    with pytest.raises(config.ConfigError, match=r"lighttpd\.conf"):
        answer_to(text)


@pytest.mark.lab  # for its time alone: it needs neither root nor a server
@pytest.mark.parametrize("text", [
    'x = "a"' + "\nx += x" * 60, 'x = ("a")' + "\nx = x + x" * 60, "(" * 100_000, "x = " + "(" * 100_000,
    '$HTTP["a"] == "b" {' * 50_000,
], ids=lambda text: repr(text[:20]))
def test_large_refused_configuration(text):
    """The parser refuses it with file and line, quickly."""
    with pytest.raises(config.ConfigError, match=r"lighttpd\.conf"):
        answer_to(text)


@pytest.mark.lab
def test_unreadable_file(tmp_path):
    """A FIFO, a directory, nothing at all: unknown, and the path is named."""
    os.mkfifo(tmp_path / "fifo")
    with Lighttpd(tmp_path, 'server.document-root = "{dir}"') as server:
        for path in (tmp_path / "fifo", tmp_path, tmp_path / "gone"):
            server.conf.unlink()
            server.conf.symlink_to(path)
            [destination] = LighttpdServer().ask(server.process, request_for("x"))
            assert isinstance(destination, Unknown)
            assert str(server.conf) in destination.reason


@pytest.mark.parametrize("argv, path", [
    ("lighttpd -D -f /a", "/a"), ("lighttpd -f/a -D", "/a"), ("lighttpd -D", None), ("lighttpd -f -", None),
    ("lighttpd -f", None),
])
def test_config_path(argv, path):
    """The configuration file is the value of -f; without -f there is none."""
    from certbot_autowebroot.servers import lighttpd
    assert lighttpd.config_path(argv.split()) == path


@pytest.mark.lab  # for its time alone: it needs neither root nor a server
def test_ten_thousand_sites():
    """The time grows with the size, not with its square."""
    site = '$HTTP["host"] == "h{0}" {{ server.document-root = "/srv/{0}" }}\n'
    destinations = answer_to("".join(site.format(n) for n in range(10_000)), "h9999")
    assert destinations[0].root == "/srv/9999"


@pytest.mark.lab  # for its time alone: it needs neither root nor a server
def test_ten_thousand_branches():
    """A long chain of else is as quick as as many single conditions."""
    branch = '$HTTP["host"] == "h{0}" {{ server.document-root = "/srv/{0}" }}\n'
    assert answer_to("else ".join(branch.format(n) for n in range(10_000)), "h9999")[0].root == "/srv/9999"


def test_unknown_modules():
    """A name in server.modules that is no module is ignored."""
    nested = 'x = ("a")' + "\nx = (x, x)" * 60
    assert answer_to(nested + '\nserver.modules = (x) server.document-root = "/a"')[0].root == "/a"
    assert answer_to('server.modules = ("_class__", "mod_", "x") server.document-root = "/a"')[0].root == "/a"


def test_interface():
    """The class implements IWebServer."""
    assert verifyClass(IWebServer, LighttpdServer)
