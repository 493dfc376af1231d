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
ROOT = 'server.document-root = "{dir}/main"\n'
#: Configuration, and the destination of each request (:func:`tests.lab.cases.request_for`).
CASES = {
    "the document root": (ROOT, {"x": "main"}),
    "hosts: == != =~ !~": (ROOT + """
        $HTTP["host"] == "eq" { server.document-root = "{dir}/one" }
        $HTTP["host"] =~ "^re\\." { server.document-root = "{dir}/two" }
        $HTTP["host"] !~ "^(eq|re|x)" { server.document-root = "{dir}/relative" }
    """, {"eq": "one", "re.x": "two", "x": "main", "other": "relative"}),
    "a later block wins, a later line at the top does not": (ROOT + """
        $HTTP["host"] == "a" { server.document-root = "{dir}/one" }
        $HTTP["host"] =~ "a" { server.document-root = "{dir}/two" }
        server.port = 80
    """, {"a": "two", "b": "main"}),
    "the same condition again is the first one's lab_directory": (ROOT + """
        $HTTP["host"] == "a" { server.tag = "x" }
        $HTTP["host"] =~ "a" { server.document-root = "{dir}/two" }
        $HTTP["host"] == "a" { server.document-root = "{dir}/one" }
    """, {"a": "two"}),
    "an address for a name": (ROOT + """
        $HTTP["host"] == "[2001:db8::1]" { server.document-root = "{dir}/one" }
        $HTTP["host"] == "[2001:db8::2]" { url.redirect = ("" => "https://${url.authority}/") }
        $HTTP["host"] == "[2001:db8::3]:80" { proxy.server = ("" => (("host" => "127.0.0.1", "port" => 8001))) }
    """, {"2001:db8::1": "one", "2001:db8::2": "301 https://[2001:db8::2]/", "192.0.2.1": "main",
          "2001:db8::3": f"to 127.0.0.1:8001 2001:db8::3 {PATH}"}),
    "else branches": (ROOT + """
        $HTTP["host"] == "a" { server.document-root = "{dir}/one" }
        else $HTTP["host"] =~ "^[ab]$" { server.document-root = "{dir}/two" }
        else { server.document-root = "{dir}/relative" }
    """, {"a": "one", "b": "two", "c": "relative"}),
    "nested": (ROOT + """
        $HTTP["host"] == "a" {
            $HTTP["url"] =~ "^/\\.well-known/" { server.document-root = "{dir}/one" }
            else $HTTP["scheme"] == "http" { server.document-root = "{dir}/two" }
        }
    """, {"a": "one", "b": "main", f"a/{TOKEN}": "two *"}),
    "prefix and suffix conditions": (ROOT + """
        $HTTP["host"] =^ "pre" { server.document-root = "{dir}/one" }
        $HTTP["host"] =$ ".post" { server.document-root = "{dir}/two" }
    """, {"prefix": "one", "x.post": "two", "x": "main"}),
    "variables and sums": ("""
        var.base = "{dir}"
        var.name = "one"
        server.document-root = var.base + "/" + var.name
        $HTTP["host"] == "a" { server.document-root += "/sub" }
        $HTTP["host"] == "b" { var.name = "two" server.document-root = var.base + "/" + var.name }
    """, {"x": "one", "a": "one/sub", "b": "two"}),
    "comments, escapes, one line": (ROOT + r"""
        # $HTTP["host"] == "a" { server.document-root = "{dir}/one" }
        server.tag = "a \" } # \" b" $HTTP["host"] == "b" { server.document-root = "{dir}/two" } # end
    """, {"a": "main", "b": "two"}),
    "included as long ago": (ROOT + 'include_shell "cat {dir}/conf.d/10*.conf {dir}/conf.d/20-b.conf"',
                             {"a": "one", "b": "two", "c": "main"}),
    "include": (ROOT + 'include "conf.d/*.conf"\ninclude "conf.d/none*.conf"', {"a": "one", "b": "two", "c": "main"}),
    "global": ('$HTTP["host"] == "a" { global { server.document-root = "{dir}/one" } }', {"a": "one", "b": "one"}),
    "relative document root": ('server.document-root = "relative"', {"x": "dead end"}),
    "alias": (ROOT + """
        alias.url = ("/.well-known/acme-challenge/" => "{dir}/one/")
        $HTTP["host"] == "b" { alias.url = ("/.well-known" => "{dir}/one") }
        $HTTP["host"] == "c" { alias.url = ("/.well-known/acme-challenge/" => "{dir}/x") }
        $HTTP["host"] == "d" { alias.url += ("/.well" => "{dir}/two") }
        $HTTP["host"] == "e" { alias.url = ("/.well-known/acme-challenge" => "{dir}/one",
                                           "/.well-known/" => "{dir}/two/") }
    """, {"a": "one *", "b": "one acme-challenge/*", "c": ". x*", "d": "one *", "e": "one *"}),
    "simple-vhost": (ROOT + """
        simple-vhost.server-root = "{dir}/vhosts/"
        simple-vhost.document-root = "/htdocs/"
        simple-vhost.default-host = "default"
        $HTTP["host"] == "none" { simple-vhost.default-host = "gone" }
    """, {"www.sample.com": "vhosts/www.sample.com/htdocs", "x": "vhosts/default/htdocs", "none": "main"}),
    "evhost": (ROOT + """
        evhost.path-pattern = "{dir}/ev/%0/%3/"
        $HTTP["host"] =~ "^s" { evhost.path-pattern = "{dir}/ev/%1/%{2.1}" }
    """, {"www.sample.com": "ev/sample.com/www", "x.other.com": "main", "sample.com": "ev/com/s"}),
    "rewrite-once": (ROOT + """
        url.rewrite-once = ("^/\\.well-known/acme-challenge/(.*)" => "/sub/.well-known/acme-challenge/$1",
                            "^/sub" => "/x")
        $HTTP["host"] =~ "^(\\w+)\\.users$" { url.rewrite-once = ("^(.*)$" => "/../caps/%1$1") }
        $HTTP["host"] == "b" { url.rewrite-once = ("^/\\.well-known" => "", "^/(.*)" => "/index.php/$1") }
        $HTTP["host"] == "c" { url.rewrite-once = ("^/(.*)" => "/index.php?$1") }
        $HTTP["host"] == "d" { url.rewrite-once = ("^(/.well.*)" => "/sub$1${qsa}") }
    """, {"a": "main sub/.well-known/acme-challenge/*", "b": "main", "c": "dead end",
          "d": "main sub/.well-known/acme-challenge/*"}),
    "rewrite-repeat": (ROOT + """
        url.rewrite-repeat = ("^/\\.well-known(.*)" => "/second$1", "^/second(.*)" => "/sub/.well-known$1")
        $HTTP["host"] == "b" { url.rewrite-repeat = ("^(.*)" => "/x$1") }
        $HTTP["host"] == "c" { url.rewrite-once = ("^/second/(.*)" => "/sub/$1") }
    """, {"a": "main sub/.well-known/acme-challenge/*", "b": "dead end", "c": "main"}),
    "rewrite-if-not-file leaves a file alone": (ROOT + 'url.rewrite-if-not-file = ("" => "/index.php")', {"a": "main"}),
    "a rewritten url meets other conditions": (ROOT + """
        url.rewrite-once = ("^/\\.well-known/(.*)" => "/else/.well-known/$1")
        $HTTP["url"] =~ "^/else" { alias.url = ("/else" => "{dir}/one") }
    """, {"a": "one"}),
    "redirects": (ROOT + """
        $HTTP["host"] =~ "^(www\\.)?(.*)\\.com$" { url.redirect = ("^/(.*)" => "https://%2.org/$1") }
        $HTTP["host"] == "b" { url.redirect = ("" => "https://${url.authority}${url.path}${qsa}")
                               url.redirect-code = 308 }
        $HTTP["host"] == "c" { url.redirect = ("^/\\.well-known/" => "", "" => "https://c/") }
        $HTTP["host"] == "d" { $HTTP["url"] !~ "^/\\.well-known/" { url.redirect = ("" => "https://d/") } }
    """, {"www.sample.com": f"301 https://sample.org{PATH}", "b": f"308 https://b{PATH}", "c": "main", "d": "main",
          "d/other": "301 https://d/", "b/other?q=1": "308 https://b/other?q=1"}),
    "access": (ROOT + """
        url.access-deny = ("~", ".inc")
        $HTTP["host"] == "b" { url.access-deny = ("") }
        $HTTP["url"] =~ "/\\." { $HTTP["host"] == "c" { url.access-deny = ("") } }
        $HTTP["host"] == "d" { url.access-allow = (".html") }
        $HTTP["host"] == "e" { url.access-allow = ("A") url.access-deny = ("") }
    """, {"a": "main", "b": "dead end", "c": "dead end", "d": "dead end", "e": "main"}),
    "proxies": (ROOT + """
        var.one = ("host" => "127.0.0.1", "port" => 8001)
        var.two = ("port" => 8002, "host" => "127.0.0.1")
        $HTTP["host"] == "a" { proxy.server = ("" => (var.one)) }
        $HTTP["host"] == "b" { proxy.server = ("" => (var.one, var.two)) }
        $HTTP["host"] == "c" { proxy.server = ("" => (("host" => "{dir}/echo.sock"))) }
        $HTTP["host"] == "d" { $HTTP["url"] !~ "^/\\.well-known/" { proxy.server = ("" => (var.one)) } }
        $HTTP["host"] == "e" { proxy.server = ("/.well" => (var.one), "/.well-known" => (var.two)) }
        $HTTP["host"] == "f" { proxy.server = (".php" => (var.one)) }
        $HTTP["host"] == "g" { proxy.server = ("/" => (var.one))
            proxy.header = ("map-urlpath" => ("/.well-known" => "/wk"), "map-host-request" => ("-" => "inner")) }
    """, {"a": f"to 127.0.0.1:8001 a {PATH}", "b": f"to 127.0.0.1:8001,127.0.0.1:8002 b {PATH}",
          "c": f"to unix:/echo.sock c {PATH}", "d": "main", "e": f"to 127.0.0.1:8001 e {PATH}", "f": "main",
          "g": f"to 127.0.0.1:8001 inner /wk/acme-challenge/{TOKEN}"}),
    "sockets": (ROOT + """
        server.bind = "203.0.113.10"
        $SERVER["socket"] == "127.0.0.1" { server.document-root = "{dir}/one" }
        $SERVER["socket"] == "203.0.113.11:80" { server.document-root = "{dir}/two" }
        $SERVER["socket"] == "[::]:80" { $HTTP["host"] == "a" { server.document-root = "{dir}/one/sub" } }
    """, {"a": "one", "a@203.0.113.10": "main", "a@203.0.113.11": "two", "a@2001:db8::10": "one/sub",
          "b@2001:db8::10": "main"}),
    "sockets of all addresses": (ROOT + """
        $SERVER["socket"] == ":80" { server.document-root = "{dir}/one" }
        $SERVER["socket"] != "[::]:80" { $HTTP["host"] == "b" { server.document-root = "{dir}/two" } }
    """, {"a@203.0.113.10": "one", "b@203.0.113.11": "two"}),
    "cgi for everything": (ROOT + 'cgi.assign = ("" => "/bin/true")', {"a": "dead end"}),
    "server.tag is nothing": (ROOT + 'server.tag = "x" + 1 + "y"', {"a": "main"}),
    "Debian's scripts": (ROOT + 'server.port = 80\ninclude_shell "/usr/share/lighttpd/use-ipv6.pl " + server.port\n'
                         'include_shell "/usr/share/lighttpd/create-mime.conf.pl"', {"a": "main"}),
}


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
    "= 1", 'x = "a"' + "\nx += x" * 60, 'x = ("a")' + "\nx = x + x" * 60,
    'x = "a" + ("b")', "(" * 100_000, "x = " + "(" * 100_000, '$HTTP["a"] == "b" {' * 50_000, "include 5", "x ^ 5",
    '$HTTP["host"] ? "a" { }', "else", "global", "x += ", 'include "lighttpd.conf"',
], ids=lambda text: repr(text[:20]))
def test_refused_configuration(text):
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


def test_ten_thousand_sites():
    """The time grows with the size, not with its square."""
    site = '$HTTP["host"] == "h{0}" {{ server.document-root = "/srv/{0}" }}\n'
    destinations = answer_to("".join(site.format(n) for n in range(10_000)), "h9999")
    assert destinations[0].root == "/srv/9999"


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
