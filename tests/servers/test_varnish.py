"""Varnish: the evaluator against a table, and both against the real Varnish."""
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from zope.interface.verify import verifyClass

from certbot_autowebroot.interfaces import IWebServer
from certbot_autowebroot.route import Source
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.servers.varnish import VarnishServer
from certbot_autowebroot.servers.varnish import evaluate
from certbot_autowebroot.servers.varnish import vcl
from certbot_autowebroot.system import processes
from tests.lab.cases import check_evaluator
from tests.lab.cases import check_server
from tests.lab.cases import request_for
from tests.lab.programs import Echo
from tests.lab.programs import assert_true
from tests.lab.varnish import Varnish
from tests.lab.varnish_table import BACKENDS
from tests.lab.varnish_table import CASES


@pytest.fixture(scope="module")
def directory():
    """The files that the configurations name."""
    path = Path(tempfile.mkdtemp(prefix="varnish-lab-"))
    path.chmod(0o755)
    (path / "included.vcl").write_text('sub vcl_recv { if (req.http.host == "inc") { set req.backend_hint = two; } }')
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def lab_directory(directory):
    """The same with running backends."""
    with Echo("127.0.0.1:8001", "127.0.0.1:8002", f"{directory}/echo.sock", proxy_protocol=["127.0.0.1:8005"]):
        yield directory


@pytest.mark.parametrize("text, expected", CASES.values(), ids=CASES)
def test_evaluator(directory, text, expected):
    """The evaluator gives the expected column."""
    check_evaluator(VarnishServer(), Varnish(directory, text).simulated_process, expected, directory)


@pytest.mark.lab
@pytest.mark.parametrize("text, expected", CASES.values(), ids=CASES)
def test_real_server(lab_directory, text, expected):
    """The real server does what the evaluator says; its child process has the same configuration."""
    with Varnish(lab_directory, text) as server:
        check_server(VarnishServer(), server, expected, lab_directory)
        [child] = [p for p in map(processes.process, processes.all_pids()) if p and p.parent == server.pid]
        check_evaluator(VarnishServer(), child, expected, lab_directory)


@pytest.mark.lab
@pytest.mark.parametrize("argument", ["127.0.0.1:8001", "{dir}/echo.sock", "none"])
def test_backend_argument(lab_directory, argument):
    """The backend is the value of -b."""
    with Varnish(lab_directory, arguments=["-b", argument.replace("{dir}", str(lab_directory))]) as server:
        [destination] = VarnishServer().ask(server.process, request_for("x"))
        assert_true(destination, server.get(request_for("x")))


def answer_to(text, host="www.sample.com", files=None):
    """The destinations in a VCL that no Varnish runs."""
    content = {"/etc/varnish/default.vcl": text.encode("utf-8", "surrogateescape"), **(files or {})}

    def read(path):
        if path not in content:
            raise FileNotFoundError(2, "No such file or directory", path)
        return content[path]
    return evaluate.destinations(vcl.parse("/etc/varnish/default.vcl", read, ["/etc/varnish"]), request_for(host))


ONE = 'backend one { .host = "127.0.0.1"; .port = "1"; }\nbackend two { .host = "[::1]"; .port = "http"; }\n'


def test_condition_on_client():
    """Both destinations are named, that of other clients first; the CA is another client than our probe."""
    destinations = answer_to(ONE + 'acl local { "127.0.0.1"; }\nsub vcl_recv { if (client.ip ~ local && '
                             'req.http.Accept !~ "x") { set req.backend_hint = two; } }')
    assert [str(d.members[0]) for d in destinations] == ["127.0.0.1:1", "[::1]:80"]


def test_backend_known_to_running_server_only():
    """Every declared backend is an alternative; the last one is that there is another."""
    *upstreams, unknown = answer_to(ONE + "sub vcl_recv { set req.backend_hint = lookup.backend(req.url); }")
    assert [str(upstream.members[0]) for upstream in upstreams] == ["127.0.0.1:1", "[::1]:80"]
    assert "lookup.backend()" in unknown.reason


@pytest.mark.parametrize("operator, admits_some", [("!~", True), ("~", False)])
def test_allow_list(operator, admits_some):
    """A CA's address is on no list: an allow-list refuses it, a deny-list does not."""
    destinations = answer_to(ONE + 'acl ours { "10.0.0.0"/8; }\nsub vcl_recv { if (client.ip ' + operator
                             + " ours) { return (synth(403)); } }")
    served = [d for d in destinations if hasattr(d, "members")]
    assert [any(step.admits_some for step in d.trail) for d in served] == [admits_some]


@pytest.mark.parametrize("condition, expected", [
    ('req.http.User-Agent ~ "(?i)letsencrypt"', "[::1]:80"), ('req.http.user-agent ~ "(?i)bot|spider"', "127.0.0.1:1"),
    ('req.http.Referer', "127.0.0.1:1"), ('req.http.Accept == "*/*"', "[::1]:80")])
def test_headers_of_the_ca(condition, expected):
    """Its User-Agent is public; without a redirect before, it sends no Referer."""
    destinations = answer_to(ONE + f"sub vcl_recv {{ if ({condition}) {{ set req.backend_hint = two; }} }}")
    assert [str(d.members[0]) for d in destinations] == [expected]


def test_trail():
    """It names the condition, the assignment and the backend, with file and line."""
    [destination] = answer_to(ONE + 'sub vcl_recv {\n if (req.url ~ "^/") {\n  set req.backend_hint = two;\n }\n}\n')
    file = "/etc/varnish/default.vcl"
    assert [(step.text, step.source) for step in destination.trail] == [
        ('if req.url ~ "^/"', Source(file, 4)), ("set req.backend_hint = two", Source(file, 5)),
        ("backend two", Source(file, 2))]


@pytest.mark.parametrize("text, reason", [
    ("sub vcl_recv { set req.url = req.http.Via + req.url; }", "req.http.Via"),
    ("sub vcl_recv { return (vcl(other)); }", "the VCL other"),
    ('sub vcl_recv { if (req.url ~ "(a+)+$") { } }', "takes too long"),
    ("sub vcl_recv {" + "set req.url = req.url + req.url;" * 60 + "}", "has no end"),
    ("sub a { call a; } sub vcl_recv { call a; }", "calls itself"),
], ids=["unknown header", "another VCL", "a regex", "doubling", "recursive"])
def test_unknown_value(text, reason):
    """The destination is unknown, with the reason."""
    [destination] = answer_to(ONE + text, "x/" + "a" * 40 + "!")
    assert isinstance(destination, Unknown)
    assert reason in destination.reason


@pytest.mark.parametrize("text", [
    "\x00", "sub", "sub x", "sub x {", "sub x { if", "sub x { if (", "sub x { if (a) b; }", "backend", "backend x {",
    "backend x { host }", 'include "gone.vcl";', "include", 'x = "unterminated', "vcl 4.1", "sub x { set a",
    "sub x { if (a) { } else", 'include "/etc/varnish/default.vcl";', "/* no end", '"""',
], ids=lambda text: repr(text[:20]))
def test_refused_vcl(text):
    """The parser refuses it with the file's name."""
    with pytest.raises(vcl.VclError):
        answer_to(text)


@pytest.mark.lab  # for its time alone: it needs neither root nor a server
@pytest.mark.parametrize("text", [
    "{" * 50_000, "sub x {" + "if (a) {" * 50_000, '{"' * 300_000, "/*" * 300_000,
    "sub x { if (" + "(" * 50_000 + "a" + ")" * 50_000 + ") { } }", "sub x { set a =" + " 1" * 50_000,
    "sub x " + "{" * 50_000,
], ids=lambda text: repr(text[:20]))
def test_large_refused_vcl(text):
    """The parser refuses it, quickly and without an end of the stack."""
    with pytest.raises(vcl.VclError):
        answer_to(text)


@pytest.mark.parametrize("body", ["set;", "set a;", "set a =;", "set a = ;", "call;", "return;", "return ();", "unset;",
                                  "if () { }", "if (!) { }", "if (a ~) { }", "if (~ a) { }", "if (a && ) { }",
                                  "return (synth());", "return (synth(,));", "return (synth);", "x.add_backend();",
                                  "set req.url = regsub(,,);", "set req.url = (;);", "set req.http.host = one;",
                                  "if (one) { }", 'if (one ~ "x") { }', 'if (one < 5) { }', ") ;", "new;"])
def test_odd_statements(body):
    """A statement that Varnish would refuse is no error."""
    try:
        assert answer_to(ONE + "sub vcl_recv { " + body + " }")
    except vcl.VclError as error:
        assert "default.vcl" in str(error)


@pytest.mark.lab
def test_unreadable_file(lab_directory):
    """A FIFO, nothing at all, a missing include: unknown, and the path is named."""
    with Varnish(lab_directory, BACKENDS) as server:
        os.mkfifo(lab_directory / "fifo")
        for path in (lab_directory / "fifo", lab_directory / "gone"):
            server.conf.unlink()
            server.conf.symlink_to(path)
            [destination] = VarnishServer().ask(server.process, request_for("x"))
            assert isinstance(destination, Unknown)
            assert str(server.conf) in destination.reason
        server.conf.unlink()


def test_interface():
    """The class implements IWebServer."""
    assert verifyClass(IWebServer, VarnishServer)
