"""Caddy: the evaluator against a table, and both against the real Caddy.

The table's Caddyfiles are also recorded as Caddy adapts them (:data:`RECORD`), for the test without Caddy. After a
change, ``python -m tests.servers.test_caddy`` records them again.
"""
import dataclasses
import http.server
import json
import os
import shutil
import socket
import tempfile
import threading
from pathlib import Path

import pytest
from zope.interface.verify import verifyClass

from certbot_autowebroot.interfaces import IWebServer
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.servers.caddy import CaddyServer
from certbot_autowebroot.servers.caddy import admin
from certbot_autowebroot.servers.caddy import routes
from certbot_autowebroot.system import processes
from tests.lab.caddy import Caddy
from tests.lab.caddy import adapt
from tests.lab.caddy_table import CASES
from tests.lab.cases import PATH
from tests.lab.cases import TOKEN
from tests.lab.cases import check_evaluator
from tests.lab.cases import check_server
from tests.lab.cases import request_for
from tests.lab.cases import to
from tests.lab.programs import Echo
from tests.lab.programs import assert_true
from tests.lab.programs import brief
from tests.lab.programs import plant

#: The Caddyfiles of :data:`CASES` as JSON, by the names of the cases; ``{dir}`` stands for the directory.
RECORD = Path(__file__).with_name("caddy_adapted.json")
PLACES = (".", "one", "two", "hosts/a.test", "hosts/b.test", "one/sub", "labels/b")


@pytest.fixture(scope="module")
def directory():
    """The files that the configurations name."""
    path = Path(tempfile.mkdtemp(prefix="caddy-lab-"))
    plant(TOKEN, *(path / name for name in PLACES))
    plant(TOKEN, *(path / name for name in PLACES), below="acme-challenge")
    plant(TOKEN, *(path / name for name in PLACES), below="")
    (path / "one" / "index.php").write_text("index")
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def lab_directory(directory):
    """The same with running backends."""
    with Echo("127.0.0.1:8001", "127.0.0.1:8002", f"{directory}/echo.sock"):
        yield directory


@pytest.mark.parametrize("name", CASES)
def test_evaluator(directory, name):
    """The evaluator gives the expected column, for the Caddyfile as Caddy adapted it."""
    config = json.dumps(json.loads(RECORD.read_text())[name])
    caddy = Caddy(directory, config, name="caddy.json", argv=["caddy", "run", "--config", "caddy.json"])
    check_evaluator(CaddyServer(), caddy.simulated_process, CASES[name][1], directory)


@pytest.mark.lab
@pytest.mark.parametrize("text, expected", CASES.values(), ids=CASES)
def test_real_server(lab_directory, text, expected):
    """The real server does what the evaluator says."""
    with Caddy(lab_directory, text) as server:
        check_server(CaddyServer(), server, expected, lab_directory)


@pytest.mark.lab
def test_record():
    """The recorded configurations are those that the installed Caddy makes of the table's Caddyfiles."""
    assert json.loads(RECORD.read_text()) == {name: adapt(text) for name, (text, _) in CASES.items()}


FILES = ":80 {\n root * {dir}/one\n file_server\n}"


@pytest.fixture
def fresh(lab_directory):
    """The same directory without the files of an earlier Caddy."""
    for name in ("config", "data", "Caddyfile", "caddy.json"):
        path = lab_directory / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return lab_directory


#: A place where Caddy cannot save its configuration.
NOWHERE = {"XDG_CONFIG_HOME": "/dev/null/nowhere"}


@pytest.mark.lab
@pytest.mark.parametrize("options, environment", [
    ("", NOWHERE), ("admin 127.0.0.1:3000", NOWHERE), ("admin unix/{dir}/admin.sock", NOWHERE), ("admin off", {}),
    ("admin off", NOWHERE),
], ids=["admin API", "on another port", "on a unix socket", "saved configuration", "only the Caddyfile"])
def test_sources_of_configuration(fresh, options, environment):
    """The admin API, the saved configuration and the Caddyfile each lead to the served file."""
    with Caddy(fresh, FILES, options=options.replace("{dir}", str(fresh)), environment=environment) as server:
        [destination] = CaddyServer().ask(server.process, request_for("a.test"))
        assert_true(destination, server.get(request_for("a.test")))


@pytest.mark.lab
def test_caddyfile_of_process_with_own_mounts(fresh):
    """Debian's unit has its own /tmp and the host's /etc."""
    with Caddy(fresh, FILES, options="admin off", environment=NOWHERE,
               argv=["unshare", "--mount", "caddy", "run"]) as server:
        [destination] = CaddyServer().ask(server.process, request_for("a.test"))
        assert_true(destination, server.get(request_for("a.test")))


def test_frankenphp():
    """It is Caddy with PHP, and has the same admin API."""
    process = dataclasses.replace(processes.process(os.getpid()), name="frankenphp")
    assert CaddyServer().recognises(process)


@pytest.mark.lab
def test_running_configuration_wins(fresh):
    """An edited Caddyfile has no effect before a reload."""
    with Caddy(fresh, FILES) as server:
        server.conf.write_text(":80 {\n root * /elsewhere\n file_server\n}")
        [destination] = CaddyServer().ask(server.process, request_for("a.test"))
        assert_true(destination, server.get(request_for("a.test")))


@pytest.mark.lab
def test_saved_configuration_of_earlier_process(fresh):
    """A saved configuration older than the process is ignored."""
    saved = fresh / "config" / "caddy" / "autosave.json"
    saved.parent.mkdir(parents=True)
    saved.write_text("{}")
    os.utime(saved, (1, 1))
    with Caddy(fresh, FILES, options="admin off", environment=NOWHERE) as server:
        [destination] = CaddyServer().ask(server.process, request_for("a.test"))
        assert_true(destination, server.get(request_for("a.test")))


@pytest.mark.lab
def test_json_configuration(fresh):
    """The evaluator reads JSON without Caddy."""
    config = {"admin": {"disabled": True, "config": {"persist": False}}, "apps": {"http": {"servers": {"s": {
        "listen": [":80"], "routes": [{"handle": [{"handler": "file_server", "root": "two"}]}]}}}}}
    with Caddy(fresh, json.dumps(config), name="caddy.json", argv=["caddy", "run", "--config=caddy.json"]) as server:
        [destination] = CaddyServer().ask(server.process, request_for("a.test"))
        assert_true(destination, server.get(request_for("a.test")))


@pytest.mark.lab
@pytest.mark.parametrize("argv, expected", [
    ("caddy file-server --listen :80", "."), ("caddy file-server --root one --listen=:80", "one"),
    ("caddy reverse-proxy --from http://a.test:80 --to 127.0.0.1:8001 --to=127.0.0.1:8002",
     f"to 127.0.0.1:8001,127.0.0.1:8002 a.test {PATH}"),
    ("caddy reverse-proxy --from :80 --to http://127.0.0.1:8001", to(1, "a.test")),
    ("caddy file-server --domain a.test", f"308 https://a.test{PATH}"),
])
def test_commands(fresh, argv, expected):
    """Without a configuration the options decide."""
    with Caddy(fresh, None, argv=argv.split()) as server:
        [destination] = CaddyServer().ask(server.process, request_for("a.test"))
        assert brief(destination, fresh) == expected
        assert_true(destination, server.get(request_for("a.test")))


@pytest.mark.lab
def test_password(lab_directory):
    """The directory is known; whether a client gets the file is not."""
    text = FILES.replace("file_server", "basicauth /.well-known/* {\n a JDJhJDE0JEIzL0x6RjVsT3U=\n }\n file_server")
    with Caddy(lab_directory, text) as server:
        [destination] = CaddyServer().ask(server.process, request_for("a.test"))
        assert (brief(destination, lab_directory), destination.depends_on_client) == ("one", True)
        assert server.get(request_for("a.test")).status == 401


@pytest.mark.lab
@pytest.mark.parametrize("matcher", ["remote_ip 127.0.0.1", "header X-A b", "expression {http.request.remote.port} > 1",
                                     "query a=b"])
def test_condition_on_client(lab_directory, matcher):
    """Both destinations are named, that of other clients first; the CA is another client than our probe."""
    text = ":80 {\n @m " + matcher + "\n root * {dir}/one\n root @m {dir}/two\n file_server\n}"
    with Caddy(lab_directory, text) as server:
        destinations = CaddyServer().ask(server.process, request_for("a.test"))
        assert [brief(d, lab_directory) for d in destinations] == ["one", "two"]
        served = server.get(request_for("a.test")).body
        assert served in map(str, destinations)


@pytest.mark.lab
@pytest.mark.parametrize("status", [200, 401])
def test_forward_auth(lab_directory, status):
    """forward_auth passes the request on after a positive answer; else the client gets the negative one."""
    server = http.server.HTTPServer(("127.0.0.1", 8009), type("Says", (http.server.BaseHTTPRequestHandler,), {
        "do_GET": lambda self: (self.send_response(status), self.end_headers()), "log_message": lambda *args: None}))
    threading.Thread(target=server.serve_forever, args=(0.01,)).start()
    text = ":80 {\n forward_auth 127.0.0.1:8009 {\n uri /verify\n }\n root * {dir}/one\n file_server\n}"
    try:
        with Caddy(lab_directory, text) as caddy:
            destinations = CaddyServer().ask(caddy.process, request_for("a.test"))
            assert [brief(d, lab_directory) for d in destinations] == ["to 127.0.0.1:8009 a.test /verify", "one"]
            answer = caddy.get(request_for("a.test"))
            assert answer.status == status
            assert (answer.body == str(destinations[1])) is (status == 200)
    finally:
        server.shutdown()
        server.server_close()


def answer_to(routes_of_a_server, host="a.test", **more):
    """The destinations in a configuration that no Caddy runs."""
    config = {"apps": {"http": {"servers": {"s": {"listen": [":80"], "routes": routes_of_a_server, **more}}}}}
    return routes.destinations(config, request_for(host), lambda path: False, "/cwd", {"ROOT": "/env"})


@pytest.mark.parametrize("negated, admits_some", [(True, True), (False, False)])
def test_allow_list(negated, admits_some):
    """A CA's address is on no list: an allow-list refuses it, a deny-list does not."""
    listed = {"remote_ip": {"ranges": ["10.0.0.0/8"]}}
    refused = {"match": [{"not": [listed]} if negated else listed], "terminal": True,
               "handle": [{"handler": "static_response", "status_code": 403}]}
    destinations = answer_to([refused, {"handle": [{"handler": "file_server", "root": "/srv"}]}])
    served = [d for d in destinations if hasattr(d, "root")]
    assert [any(step.admits_some for step in d.trail) for d in served] == [admits_some]


@pytest.mark.parametrize("matcher, matches", [
    ({"header": {"User-Agent": ["curl*", "*Let's Encrypt*"]}}, True), ({"header": {"user-agent": ["*curl*"]}}, False),
    ({"header_regexp": {"User-Agent": {"pattern": "(?i)bot|letsencrypt"}}}, True),
    ({"header_regexp": {"User-Agent": {"pattern": "(?i)bot|spider"}}}, False),
    ({"header": {"Referer": ["*"]}}, False), ({"header": {"Accept": ["*/*"]}}, True)])
def test_headers_of_the_ca(matcher, matches):
    """Its User-Agent is public; without a redirect before, it sends no Referer."""
    refused = {"match": [matcher], "handle": [{"handler": "static_response", "status_code": 403}], "terminal": True}
    [destination] = answer_to([refused, {"handle": [{"handler": "file_server", "root": "/srv"}]}])
    assert hasattr(destination, "root") is not matches


def test_trail():
    """It names the server, matching routes, rewrites and the last handler."""
    [destination] = answer_to([{"match": [{"path": ["/.well-known/*"]}],
                     "handle": [{"handler": "rewrite", "uri": "/x{http.request.uri}"},
                                {"handler": "file_server", "root": "/srv"}]}])
    assert [step.text for step in destination.trail] == [
        "server s", 'route [{"path": ["/.well-known/*"]}]', 'rewrite {"uri": "/x{http.request.uri}"}',
        "file_server in /srv"]


@pytest.mark.parametrize("handlers, expected", [
    ([{"handler": "file_server", "root": "{env.ROOT}/{http.request.host.labels.0}"}], "/env/test"),
    ([{"handler": "encode"}, {"handler": "file_server", "root": "/a"}], "/a"),
    ([{"handler": "invoke", "name": "n"}], "/named"),
    ([{"handler": "reverse_proxy", "upstreams": [{"dial": "tcp/[::1]:80"}], "transport": {"tls": {}}}],
     "[::1]:80 https"),
])
def test_more_handlers(handlers, expected):
    """By Caddy's documentation."""
    named = {"n": {"handle": [{"handler": "file_server", "root": "/named"}]}}
    [destination] = answer_to([{"handle": handlers}], named_routes=named)
    upstream = f"{destination.members[0]} {destination.scheme}" if "https" in expected else ""
    assert expected in (getattr(destination, "root", ""), upstream)


@pytest.mark.parametrize("handlers, reason", [
    ([{"handler": "file_server", "root": "{http.unheard.of}"}], "{http.unheard.of}"),
    ([{"handler": "reverse_proxy", "dynamic_upstreams": {"source": "srv"}}], "dynamic_upstreams"),
    ([{"handler": "reverse_proxy", "upstreams": [{"dial": "{http.request.header.x}:80"}]}], "http.request.header.x"),
    ([{"handler": "reverse_proxy"}], "upstream"),
    ([{"handler": "rewrite", "path_regexp": [{"find": "(a+)+$", "replace": ""}]}], "takes too long"),
    ([{"handler": "rewrite", "uri": "{http.request.uri}{http.request.uri}"}] * 60, "has no end"),
    ([*({"handler": "map", "source": f"{{{n}}}{{{n}}}", "destinations": [f"{{{n + 1}}}"]} for n in range(60)),
      {"handler": "file_server", "root": "{60}"}], "{0}"),
    ([{"handler": "map", "source": "", "destinations": ["{0}"]},
      *({"handler": "map", "source": f"{{{n}}}{{{n}}}", "destinations": [f"{{{n + 1}}}"]} for n in range(60)),
      {"handler": "file_server", "root": "{60}"}], "what comes after"),
    ([{"handler": "map", "source": "{a}", "destinations": ["{a}"]}, {"handler": "file_server", "root": "{a}"}], "{a}"),
    ([{"handler": "rewrite", "uri_substring": [{"find": "a", "replace": "aa" * 9000}]}], "has no end"),
])
def test_unknown_value(handlers, reason):
    """The destination is unknown, with the reason."""
    [destination] = answer_to([{"handle": handlers}], "a.test/" + "a" * 40 + "!")
    assert isinstance(destination, Unknown)
    assert reason in destination.reason


def test_unknown_handler():
    """Most plugins pass the request on; this one may not."""
    destinations = answer_to([{"handle": [{"handler": "waf"}, {"handler": "file_server", "root": "/a"}]}])
    assert destinations[0].root == "/a"
    assert "waf" in destinations[1].reason


def test_garbage_is_no_error():
    """Any value may be in the place of an object, a list or a string."""
    def deep():
        value = "end"
        for _ in range(20_000):
            value = [{"handle": [{"handler": "subroute", "routes": value}]}]
        return value
    for garbage in (None, 5, "x", [], {}, [5], {"a": 5}, [[[]]], [{"handle": 5, "match": 5}], [{"match": [5]}],
                    [{"handle": [5]}], [{"match": [{"host": 5, "path": {}, "path_regexp": 5, "vars": [], "file": 5}]}],
                    [{"handle": [{"handler": h} for h in ("rewrite", "vars", "headers", "static_response", "invoke")]}],
                    [{"handle": [{"handler": "map", "destinations": ["{a}", 5], "mappings": [5, {"outputs": 5}]},
                                 {"handler": "file_server", "root": "{a}"}]}],
                    [{"handle": [{"handler": "reverse_proxy", "handle_response": [5, {"match": 5, "routes": 5}],
                                  "upstreams": [{"dial": "a:1"}]}]}],
                    [{"handle": [{"handler": "static_response", "status_code": [], "headers": {"Location": [5]}}]}],
                    [{"handle": [{"handler": "rewrite", "uri": 5, "uri_substring": [{"limit": "x", "find": 5}]}]}],
                    [{"handle": [{"handler": ["x"]}], "group": []}], deep()):
        assert answer_to(garbage)
        assert answer_to([], automatic_https=garbage, listen=garbage if isinstance(garbage, list) else [garbage])
        assert routes.destinations(garbage, request_for("a"), lambda path: False, "/", {})
        for keys in ("apps",), ("apps", "http"), ("apps", "http", "servers"), ("apps", "http", "servers", "s"):
            config = garbage
            for key in reversed(keys):
                config = {key: config}
            assert routes.destinations(config, request_for("a"), lambda path: False, "/", {})


@pytest.mark.lab
@pytest.mark.parametrize("answer, reason", [
    (None, "does not answer"), (b"", "does not answer"), (b"garbage\r\n", "does not answer"),
    (b"HTTP/1.1 200 OK\r\n\r\n{garbage", "does not answer"), (b"HTTP/1.1 403 Forbidden\r\n\r\n{}", "does not answer"),
    (b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 100_000, "does not answer"),
], ids=["hangs", "closes", "garbage", "not JSON", "forbidden", "nested"])
def test_bad_admin_api(monkeypatch, answer, reason):
    """It costs the time limit at most, and the reason is reported."""
    monkeypatch.setattr(admin, "TIME_LIMIT", 0.2)
    with socket.create_server(("127.0.0.1", 2019)) as listener:
        def serve():
            connection, _ = listener.accept()
            if answer is not None:
                connection.recv(100)
                connection.sendall(answer)
                connection.close()
            else:
                open_connections.append(connection)
        open_connections = []
        thread = threading.Thread(target=serve)
        thread.start()
        from certbot_autowebroot.system.processes import process
        [destination] = CaddyServer().ask(process(os.getpid()), request_for("a.test"))
        thread.join()
        for connection in open_connections:
            connection.close()
        assert isinstance(destination, Unknown)
        assert reason in destination.reason


@pytest.mark.lab
def test_bad_caddyfile(fresh):
    """A Caddyfile that Caddy would refuse is unknown."""
    with Caddy(fresh, FILES, options="admin off", environment=NOWHERE) as server:
        server.conf.write_text("}{")
        [destination] = CaddyServer().ask(server.process, request_for("a.test"))
        assert isinstance(destination, Unknown)
        server.conf.unlink()
        os.mkfifo(server.conf)
        [destination] = CaddyServer().ask(server.process, request_for("a.test"))
        assert "not a file" in destination.reason
        server.conf.unlink()


def test_interface():
    """The class implements IWebServer."""
    assert verifyClass(IWebServer, CaddyServer)


if __name__ == "__main__":
    lines = [f"{json.dumps(name)}: {json.dumps(adapt(text))}" for name, (text, _) in CASES.items()]
    RECORD.write_text("{\n" + ",\n".join(lines) + "\n}\n")
