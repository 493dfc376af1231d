"""HAProxy: the evaluator against a table, and both against the real HAProxy."""
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from zope.interface.verify import verifyClass

from certbot_autowebroot.interfaces import IWebServer
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Source
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.servers.haproxy import HaproxyServer
from certbot_autowebroot.servers.haproxy import config
from certbot_autowebroot.servers.haproxy import evaluate
from certbot_autowebroot.system import processes
from tests.lab.cases import PATH
from tests.lab.cases import TOKEN
from tests.lab.cases import check_evaluator
from tests.lab.cases import check_server
from tests.lab.cases import request_for
from tests.lab.cases import to
from tests.lab.haproxy import Haproxy
from tests.lab.haproxy_table import BACKENDS
from tests.lab.haproxy_table import CASES
from tests.lab.haproxy_table import FRONT
from tests.lab.programs import Echo
from tests.lab.programs import assert_true
from tests.lab.programs import brief


@pytest.fixture(scope="module")
def directory():
    """The files that the configurations name."""
    path = Path(tempfile.mkdtemp(prefix="haproxy-lab-"))
    (path / "paths.lst").write_text("# comment\n/x\n/.well-known\n")
    (path / "hosts.map").write_text("# comment\na two\nb\t three\n\t.users\tone\n")
    (path / "regex.map").write_text("^x\\. three\n^[a-c]$ two\n")
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def lab_directory(directory):
    """The same with running backends."""
    with Echo("127.0.0.1:8001", "127.0.0.1:8002", "127.0.0.1:8003", "[::1]:8004", f"{directory}/echo.sock",
              proxy_protocol=["127.0.0.1:8005"]):
        yield directory




@pytest.mark.parametrize("text, expected", CASES.values(), ids=CASES)
def test_evaluator(directory, text, expected):
    """The evaluator gives the expected column."""
    check_evaluator(HaproxyServer(), Haproxy(directory, text).simulated_process, expected, directory)


@pytest.mark.lab
@pytest.mark.parametrize("text, expected", CASES.values(), ids=CASES)
def test_real_server(lab_directory, text, expected):
    """The real server does what the evaluator says."""
    with Haproxy(lab_directory, text) as server:
        check_server(HaproxyServer(), server, expected, lab_directory)


@pytest.mark.lab
def test_worker_in_chroot(lab_directory):
    """The worker's chroot has no configuration file: the master's view has."""
    text = f"global\n    chroot {lab_directory}\n    user nobody\n" + FRONT + "default_backend two" + BACKENDS
    with Haproxy(lab_directory, text, options=["-W", "-db"]) as server:
        answer = server.get(request_for("a"))  # from the worker: a busy machine forks it after the first connection
        [worker] = [p for p in map(processes.process, processes.all_pids()) if p and p.parent == server.pid]
        for process in (server.process, worker):
            [destination] = HaproxyServer().ask(process, request_for("a"))
            assert_true(destination, answer)


@pytest.mark.lab
def test_several_files_and_directories(lab_directory):
    """-f may occur twice, may name a directory of .cfg files, and is relative to -C."""
    folder = lab_directory / "conf"
    folder.mkdir()
    (folder / "b.cfg").write_text("frontend f\n bind :80\n default_backend one\n")
    (folder / "c.txt").write_text("garbage\n")
    (lab_directory / "more.cfg").write_text(BACKENDS)
    with Haproxy(lab_directory, "", options=["-C", str(lab_directory), "-f", "conf", "--", "more.cfg"]) as server:
        [destination] = HaproxyServer().ask(server.process, request_for("a"))
        assert_true(destination, server.get(request_for("a")))


@pytest.mark.lab
def test_condition_on_client(lab_directory):
    """Both destinations are named, that of other clients first; the CA is another client than our probe."""
    text = FRONT + """
        http-request deny if { hdr(host) b } !{ src 127.0.0.0/8 }
        use_backend two if { src 127.0.0.1 }
        default_backend one""" + BACKENDS
    with Haproxy(lab_directory, text) as server:
        answers = {host: HaproxyServer().ask(server.process, request_for(host)) for host in "ab"}
        assert [brief(d, lab_directory) for d in answers["a"]] == [to(1, "a"), to(2, "a")]
        assert [brief(d, lab_directory) for d in answers["b"]] == ["dead end", to(1, "b"), to(2, "b")]
        assert all(d.depends_on_client for d in answers["b"][1:])
        assert_true(answers["a"][1], server.get(request_for("a")))


@pytest.mark.lab
def test_backend_known_to_running_server_only(lab_directory):
    """Every declared backend is an alternative; the last one is that there is another."""
    text = FRONT + "use_backend %[rand(1),add(1),map_int({dir}/numbers.map)]" + BACKENDS
    (lab_directory / "numbers.map").write_text("1 two\n")
    with Haproxy(lab_directory, text) as server:
        destinations = HaproxyServer().ask(server.process, request_for("a"))
        assert [brief(d, lab_directory) for d in destinations] == [to(1, "a"), to(2, "a"), to(3, "a"), "unknown"]
        assert_true(destinations[1], server.get(request_for("a")))


def answer_to(text, host="www.sample.com", environment=None, lines=None):
    """The destinations in a configuration that no HAProxy runs."""
    def files(path):
        if path in (lines or {}):
            return lines[path]
        raise FileNotFoundError(2, "No such file or directory", path)
    parsed = config.parse([("/etc/haproxy/haproxy.cfg", text.encode("utf-8", "surrogateescape"))], environment or {})
    return evaluate.destinations(parsed, request_for(host), files)


@pytest.mark.parametrize("condition, expected", [
    ("{ req.hdr(user-agent) -m sub -i letsencrypt }", "dead end"), ("{ hdr_sub(User-Agent) -i bot }", "127.0.0.1:1"),
    ("{ req.hdr(Accept) */* }", "dead end"), ("{ hdr(referer) -m found }", "127.0.0.1:1")])
def test_headers_of_the_ca(condition, expected):
    """Its User-Agent is public; without a redirect before, it sends no Referer."""
    destinations = answer_to(f"frontend f\n mode http\n bind :80\n http-request deny if {condition}\n"
                             " default_backend one\nbackend one\n server s 127.0.0.1:1\n")
    assert [str(d.members[0]) if hasattr(d, "members") else "dead end" for d in destinations] == [expected]


@pytest.mark.parametrize(("rule", "ports"), [
    ("http-request deny if { path,word(9,/) x }", ["1"]), ("http-request deny unless { path,word(9,/) x }", [""]),
    ("http-request deny if { path,word(9,/) -m found }", ["1", ""]),
    ("http-request deny if { path,word(9,/) -m reg ^$ }", ["1", ""]),
    ("use_backend %[path,word(9,/),map(/backends,two)]", ["1", "2", ""])])
def test_missing_word(rule, ports):
    """HAProxy 2.6 has an empty text for it and 3.0 nothing, which differs where an empty text matches."""
    destinations = answer_to("frontend f\n mode http\n bind :80\n " + rule + "\n default_backend one\n"
                             "backend one\n server s 127.0.0.1:1\nbackend two\n server s 127.0.0.1:2\n")
    assert [str(d.members[0].port) if hasattr(d, "members") else "" for d in destinations] == ports


def test_trail():
    """It names frontend, rule, backend and server, each with file and line."""
    [destination] = answer_to(" \nfrontend f\n bind :80\n use_backend one if { path_beg / }\nbackend one\n"
                              " server s 127.0.0.1:1\n")
    file = "/etc/haproxy/haproxy.cfg"
    assert [(step.text, step.source) for step in destination.trail] == [
        ("frontend f (mode tcp)", Source(file, 2)), ("use_backend one if { path_beg / }", Source(file, 4)),
        ("backend one", Source(file, 5)), ("server s 127.0.0.1:1", Source(file, 6))]


def test_proxy_protocol_and_tls():
    """The upstream has both: a PROXY line and TLS."""
    [destination] = answer_to("listen f\n bind :80\n server s 127.0.0.1:1 send-proxy-v2 ssl verify none\n")
    assert (destination.proxy_protocol, destination.scheme) == (True, "https")


def test_environment():
    """Variables count in double quotes only, with the values of HAProxy's environment."""
    text = 'listen f\n bind "${ADDRESS-:80}"\n server s "${HOST}:1"\n server t ${HOST}:1\n'
    [destination] = answer_to(text, environment={"HOST": "10.0.0.1"})
    assert [str(member) for member in destination.members] == ["10.0.0.1:1", "${HOST}:1"]


def test_hostile_environment():
    """A user's HAProxy may have a variable of 100 kB, and a line that names it 40,000 times."""
    with pytest.raises(config.ConfigError, match="more than 16 MB"):
        answer_to('listen f\n bind "' + "${LONG}" * 200 + '"\n', environment={"LONG": "x" * 100_000})


@pytest.mark.parametrize("rule, reason", [
    ("http-request lua.decide", "lua.decide"),
    ("http-request set-path %[rand(9)]", "rand(9)"),
    ("http-request redirect location https://%HV/", "%HV"),
    ("http-request deny if { path_reg (a+)+$ }", "takes too long"),
    ("http-request deny if { path -f /gone }", "/gone cannot be read: No such file"),
    ("\n".join([" http-request set-path %[path]%[path]"] * 60), "has no end"),
    ("http-request deny if undefined", "there is no acl undefined"),
    ("http-request deny if", None), ("http-request", None), ("redirect", "without a target"), ("use_backend", None),
    ("http-request set-path", None), ("acl", None), ("acl x", None), ("http-request deny if {", "empty"),
    ("http-request deny if { }", "empty"), ("http-request deny when x", None), ("http-request deny if !", "no acl"),
    ("http-request set-var(txn.x)", None), ("http-request replace-path ( x", "not one that we understand"),
    ("http-request set-header Host", None), ("server", None), ("http-request redirect code x location y", None),
])
def test_odd_rules(rule, reason):
    """A value that is not known makes the destination unknown, with the reason; nonsense is no error."""
    text = FRONT.replace("bind", "mode http\n bind") + f" {rule}\n default_backend one" + BACKENDS
    destinations = answer_to(text, "x/" + "a" * 40 + "!")
    assert destinations
    if reason:
        assert isinstance(destinations[0], Unknown)
        assert reason in destinations[0].reason


@pytest.mark.parametrize("text", ["garbage", "\x00\udcff", "listen f\n bind 'x", 'listen f\n bind "x', "frontend\n",
                                  "defaults from\nfrontend from x\n"])
def test_refused_configuration(text):
    """The parser refuses it with a reason."""
    with pytest.raises(config.ConfigError):
        answer_to(text)


def test_condition_on_binary():
    """The lines between .if and .endif are reported as unknown; the others count."""
    destinations = answer_to(".if feature(X)\nlisten g\n bind :80\n.else\n x\n.endif\n"
                             "listen f\n bind :80\n server s 127.0.0.1:1\n")
    assert str(destinations[0].members[0]) == "127.0.0.1:1"
    assert "feature(X)" in destinations[1].reason


def test_unbound_endpoint():
    """The destination is unknown: the file may have changed since the last reload."""
    [destination] = answer_to("listen f\n bind :81\n server s 127.0.0.1:1\n")
    assert "127.0.0.1:80" in destination.reason


def test_unix_socket():
    """A proxy in front may connect through one."""
    parsed = config.parse([("x", b"listen f\n bind unix@/run/x.sock\n server s 127.0.0.1:1\n")], {})
    request = Request("a", PATH, TOKEN, Endpoint("unix:/run/x.sock", 0))
    [destination] = evaluate.destinations(parsed, request, lambda path: [])
    assert str(destination.members[0]) == "127.0.0.1:1"


@pytest.mark.lab
def test_unreadable_file(lab_directory):
    """A FIFO, nothing at all, no -f: unknown, and the path is named."""
    with Haproxy(lab_directory, "listen f\n bind :80\n") as server:
        os.mkfifo(lab_directory / "fifo")
        for path in (lab_directory / "fifo", lab_directory / "gone"):
            server.conf.unlink()
            server.conf.symlink_to(path)
            [destination] = HaproxyServer().ask(server.process, request_for("x"))
            assert isinstance(destination, Unknown)
            assert str(server.conf) in destination.reason
        server.conf.unlink()


@pytest.mark.lab  # for its time alone: it needs neither root nor a server
def test_ten_thousand_sites():
    """The time grows with the size, not with its square."""
    rules = "".join(f" use_backend b{n} if {{ hdr(host) h{n} }}\n" for n in range(10_000))
    backends = "".join(f"backend b{n}\n server s 127.0.0.1:{n + 1}\n" for n in range(10_000))
    [destination] = answer_to("frontend f\n mode http\n bind :80\n" + rules + backends, "h9999")
    assert destination.members[0].port == 10_000


def test_interface():
    """The class implements IWebServer."""
    assert verifyClass(IWebServer, HaproxyServer)


def test_allow_list_names_its_line():
    """Certain addresses get another backend: the line that sends them there is named, with its number."""
    destinations = answer_to("frontend f\n bind :80\n use_backend ours if { src 10.0.0.0/8 }\n default_backend b\n"
                             "backend ours\n server a 127.0.0.1:1\nbackend b\n server b 127.0.0.1:2\n")
    usual, listed = destinations
    assert not any(step.admits_some for step in usual.trail)
    assert next(str(step) for step in listed.trail if step.admits_some).endswith("(/etc/haproxy/haproxy.cfg:3)")
