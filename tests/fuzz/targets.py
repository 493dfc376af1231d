"""Targets: one function for each reader of untrusted bytes. If it does not return, that is a finding.

A target calls ``IWebServer.ask``, as :mod:`certbot_autowebroot.routing` does, checks the answer against the rules of
``route.py``, and passes it to :func:`certbot_autowebroot.routing.follow.follow` and ``str``, as a report does.
"""
import contextlib
import io
import json
import os
import socket
import types
from dataclasses import dataclass
from typing import Any
from typing import Callable
from typing import Dict
from typing import Iterator
from typing import List
from typing import Optional
from typing import Sequence
from unittest import mock

from certbot_autowebroot import authenticator
from certbot_autowebroot.responders import footprints
from certbot_autowebroot.responders import journal_file
from certbot_autowebroot.responders.safe_directories import OpenDirectory
from certbot_autowebroot.responders.safe_directories import UnsafePathError
from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Redirect
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.route import Upstream
from certbot_autowebroot.route import Vacant
from certbot_autowebroot.routing import probe
from certbot_autowebroot.routing.follow import follow
from certbot_autowebroot.servers import forwarder
from certbot_autowebroot.servers.apache import ApacheServer
from certbot_autowebroot.servers.apache import evaluate
from certbot_autowebroot.servers.apache import log as apache_log
from certbot_autowebroot.servers.apache.configuration import Configuration
from certbot_autowebroot.servers.apache.directives import ConfigurationError
from certbot_autowebroot.servers.apache.dump import parse as parse_dump
from certbot_autowebroot.servers.apache.htaccess import Htaccess
from certbot_autowebroot.servers.caddy import CaddyServer
from certbot_autowebroot.servers.caddy import routes
from certbot_autowebroot.servers.caddy import sites
from certbot_autowebroot.servers.common import error_log
from certbot_autowebroot.servers.common import file_cache
from certbot_autowebroot.servers.forwarder import Forwarder
from certbot_autowebroot.servers.guess import AnyProgram
from certbot_autowebroot.servers.haproxy import HaproxyServer
from certbot_autowebroot.servers.lighttpd import LighttpdServer
from certbot_autowebroot.servers.nginx import NginxServer
from certbot_autowebroot.servers.nginx import log
from certbot_autowebroot.servers.static import StaticServer
from certbot_autowebroot.servers.varnish import VarnishServer
from certbot_autowebroot.system import dns_messages
from certbot_autowebroot.system import greeting
from certbot_autowebroot.system import mounts
from certbot_autowebroot.system import namespaces
from certbot_autowebroot.system import processes
from certbot_autowebroot.system import resolver_files
from certbot_autowebroot.system.views import View
from tests.fuzz import files
from tests.lab.table import FRONT
from tests.lab.table import Holder
from tests.lab.table import TableMachine

#: Ports at which the same server listens again, for configurations that pass a request on.
_HELD_PORTS = (80, 443, 8080)
_MAX_ASKED = 25
_RESOLVED = {"localhost": ["127.0.0.1", "::1"], "www.sample.com": [FRONT.host]}


@dataclass(frozen=True)
class Target:
    """:ivar run: takes one input; whatever it raises is a finding."""

    name: str
    run: Callable[[bytes], None]


class _Machine(TableMachine):
    """A machine on which one program holds all the ports of :data:`_HELD_PORTS`."""

    def __init__(self, holder: Any) -> None:
        super().__init__(names=_RESOLVED, local=["127.0.0.1", "::1", "203.0.113.10", "2001:db8::10"])
        self._holder = holder

    def holders(self, endpoint: Endpoint) -> Sequence[Any]:
        return [self._holder] if self._holder and (endpoint.port in _HELD_PORTS or endpoint.is_unix) else []

    def addresses(self, host: str) -> Sequence[str]:
        try:
            return [str(files.endpoint(host, 80).host)]
        except ValueError:
            return self.names.get(host, [])


class _Checked(Holder):
    """A program whose answers are checked."""

    def __init__(self, ask: Callable[[Request], Sequence[Any]]) -> None:
        super().__init__(())
        self._ask = ask

    def ask(self, request: Request) -> Sequence[Any]:
        self.asked.append(request)
        if len(self.asked) > _MAX_ASKED:  # the machine has a limit for all that one server is asked, too
            return [DeadEnd("asked often enough")]
        destinations = self._ask(request)
        check(destinations, request)
        return destinations


def check(destinations: Sequence[Any], request: Request) -> None:
    """Check a web server's answer against route.py's rules for destinations."""
    assert destinations, "no destination"
    for one in destinations:
        assert isinstance(one, (Directory, Redirect, Upstream, DeadEnd, Unknown)), type(one)
        assert "\n".join(map(str, one.trail)) is not None
        if isinstance(one, Directory):
            assert one.root.startswith("/"), f"a root that is not absolute: {one.root!r}"
            assert one.name and not one.name.startswith("/"), f"no relative name: {one.name!r}"
            assert ".." not in one.name.split("/"), f"a name that leads out of the root: {one.name!r}"
            assert request.token not in request.path.rpartition("/")[2] or request.token in one.name.rpartition("/")[2]
        elif isinstance(one, Upstream):
            assert one.members
            assert "".join(map(str, one.members))
        elif isinstance(one, Redirect):
            assert 300 <= one.status < 400, one.status
        else:
            assert one.reason


def _followed(ask: Callable[[Request], Sequence[Any]], request: Request) -> None:
    """Follow a request from hop to hop while the same program answers."""
    routes = follow(request, _Machine(_Checked(ask)))
    assert routes
    for route in routes:
        assert str(route)
        # An endpoint must be one that a socket can have.
        assert not isinstance(route.end, Vacant) or 0 < route.end.endpoint.port < 65536 or route.end.endpoint.is_unix


def _web_server(make: Callable[[], Any], name: str, argv: Sequence[str]) -> Callable[[bytes], None]:
    """A web server that reads the files of the input."""
    def run(data: bytes) -> None:
        request, content = files.split(data)
        process, server = files.process(name, argv, content), make()
        assert server.recognises(process)
        with nothing_kept():
            _followed(lambda request: server.ask(process, request), request)
    return run


@contextlib.contextmanager
def nothing_kept() -> Iterator[None]:
    """Each input is read, and from no real directory."""
    with mock.patch.object(file_cache.FileCache, "get", lambda cache, key, view, make: make(view)):
        yield


def _apache_dump(data: bytes) -> None:
    """The output of the binary."""
    request, content = files.split(data)
    try:
        configuration = Configuration(parse_dump(os.fsdecode(content[files.MAIN]).split("\n")))
    except ConfigurationError:
        return
    view: Any = files.FakeView(content)
    _followed(lambda request: evaluate(configuration, request, view, Htaccess(configuration, view)), request)


def _caddy(data: bytes) -> None:
    """The admin API's answer, the autosave, or the output of ``caddy adapt``: all three are JSON."""
    request, content = files.split(data)
    try:
        configuration = json.loads(content[files.MAIN])
    except (ValueError, RecursionError):  # which certbot_autowebroot.servers.caddy.source passes over
        return
    view = files.FakeView(content)
    _followed(lambda request: routes.destinations(configuration, request, view.is_file, "/srv", {"A": "x"}), request)


def _caddyfile(data: bytes) -> None:
    """The lines of a site in a Caddyfile."""
    request, content = files.split(data)
    view = files.FakeView(content)
    site = sites.site_in(files.MAIN, request.host, view.read, view.glob)
    assert site.source is not None and site.source.file in content


def _arguments(data: bytes) -> None:
    """The command line of any program: the executable's name, then the arguments, between NULs."""
    name, _, rest = data.partition(b"\0")
    argv = tuple(os.fsdecode(word) for word in rest.rstrip(b"\0").split(b"\0"))
    process = files.process(os.path.basename(os.fsdecode(name)) or "x", argv, {"/etc/x.conf": b""})
    for make in (StaticServer, AnyProgram, Forwarder, NginxServer, ApacheServer, LighttpdServer, CaddyServer,
                 HaproxyServer, VarnishServer):
        server: Any = make()
        if server.recognises(process):
            with nothing_kept(), mock.patch.object(forwarder, "forward_target", return_value=None), \
                    mock.patch.object(greeting, "without_http", return_value=""):
                check(server.ask(process, files.request_for("www.sample.com")), files.request_for("www.sample.com"))


def _nginx_log(data: bytes) -> None:
    """An error log, whose text every client may choose."""
    request = files.request_for("www.sample.com")
    process = files.process("nginx", ("nginx",), {})
    with mock.patch.object(error_log, "ends_of_logs", return_value=[data]):
        places = log.missed(process, request)
        log.errors(process, request)
        apache_log.errors(process, request, ["/srv/a"])
    if places:
        check(places, request)


def _probe(data: bytes) -> None:
    """A server's bytes over a socket; the answer to each further request after a line of ``%%``."""
    answers = iter(data.split(b"%%\n"))

    def connect(request: Request, deadline: float, key: str = "", with_proxy_line: bool = False) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                theirs.send(next(answers, data))
        return ours
    machine = _Machine(None)
    with mock.patch.object(probe, "_connect", connect):
        answer = probe.ask(files.request_for("www.sample.com"), machine)
        direct = probe.get_directly(FRONT, "www.sample.com", "/x")
    assert str(answer) and len(answer.redirects) <= 10 and len(answer.body) <= probe.MAX_BODY
    assert direct is None or len(direct) <= probe.MAX_BODY


def _journal(data: bytes) -> None:
    """A journal of an earlier run, or any file in its place."""
    fd = os.memfd_create("journal")
    file = journal_file.JournalFile(os.dup(fd), "x.jsonl", fd)
    try:
        os.write(fd, data)
        prints = footprints.parse(file.read())
    finally:
        file.close()
    numbers = [footprint.number for footprint in prints]
    assert numbers == sorted(numbers, reverse=True)
    status = os.stat("/proc/self")
    with mock.patch.object(footprints, "_views", lambda: iter([View.of_host()])):
        for footprint in prints[:5]:
            assert str(footprint).startswith("/") and all(name and "/" not in name for name in footprint.names)
            assert not footprint.sha256 or not footprint.is_like(status), "a directory is no file"
            with contextlib.suppress(OSError, UnsafePathError, ValueError):
                assert isinstance(footprints.find(footprint), OpenDirectory)


def _roots(data: bytes) -> None:
    """``autowebroot_roots`` of a renewal configuration after an edit."""
    config = types.SimpleNamespace(autowebroot_roots=os.fsdecode(data), autowebroot_path="", webroot_map=None)
    plugin = authenticator.Authenticator(config, "autowebroot")
    with mock.patch.object(authenticator.logger, "warning"):
        hints = plugin._hints("www.sample.com", plugin._remembered())
    for hint in hints:
        assert str(hint.place().end_for("TOKEN")).endswith("TOKEN")


def _kernel(data: bytes) -> None:
    """Text in the kernel's own tables that users choose: names of mount points, processes, arguments."""
    root, point, rest = [*data.split(b"\0", 2), b"", b""][:3]
    escaped = [b"/" + b"".join(b"\\%03o" % c if c in b" \t\n\\#" else bytes((c,)) for c in name)
               for name in (root, point)]
    line = b"36 35 98:0 %s %s ro,noatime master:1 - ext3 /dev/root rw\n" % tuple(escaped)
    with _reads(mounts, line * 2):
        for mount in mounts._mounts("1"):
            assert mount == ("98:0", "/" + _text(root), "/" + _text(point), True), mount
    # proc(5): the name in parentheses, at most 15 bytes, is whatever the process says.
    with _reads(processes, b"7 (%s) S 42 7 7 0 -1 " % rest[:15] + b"1 " * 40):
        fields = processes._stat_fields(7)
        assert fields is not None and fields[1] == "42"
    with _reads(namespaces, b"  sl  local_address rem_address   st\n   0: 0100007F:0050 00000000:0000 0A "
                + b"0 " * 5 + b"77\n"):
        assert [c.port for c in namespaces._connections(7, "tcp", 0x0A)] == [80]


def _dns(data: bytes) -> None:
    """What a name server, or somebody in its place, sends; and a hosts file of the same bytes."""
    for record_type in (dns_messages.A, dns_messages.AAAA):
        try:
            answer = dns_messages.parse(data, "www.sample.com", record_type, int.from_bytes(data[:2], "big"))
        except dns_messages.WrongAnswerError:
            continue
        assert bool(answer.addresses) == (answer.outcome is dns_messages.Outcome.ADDRESSES)
        assert len(answer.addresses) <= dns_messages.MAX_ADDRESSES
        assert all((":" in address) == (record_type == dns_messages.AAAA) for address in answer.addresses)
    text = data.decode("ascii", "replace")
    lines = resolver_files.hosts_lines_in(text, ["www.sample.com"], "hosts").get("www.sample.com", ())
    assert all(resolver_files.is_address(line.address) and line.source.line for line in lines)
    assert all(map(resolver_files.is_address, resolver_files.name_servers_in(text)))


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


@contextlib.contextmanager
def _reads(module: Any, content: bytes) -> Iterator[None]:
    """Let a module's ``open`` give this content, decoded as the module does."""
    def fake(path: str, mode: str = "r", encoding: Optional[str] = None, errors: Optional[str] = None,
             newline: Optional[str] = None) -> Any:
        raw = io.BytesIO(content)
        return raw if "b" in mode else io.TextIOWrapper(raw, encoding, errors, newline)
    with mock.patch.object(module, "open", fake, create=True):
        yield


_ALL: List[Target] = [
    Target("nginx", _web_server(NginxServer, "nginx", [f"nginx: master process nginx -c {files.MAIN} -p /srv"])),
    Target("nginx-log", _nginx_log),
    Target("apache", _web_server(ApacheServer, "apache2", ["apache2", "-d", "/etc", "-f", files.MAIN, "-DFUZZ"])),
    Target("apache-dump", _apache_dump),
    Target("lighttpd", _web_server(LighttpdServer, "lighttpd", ["lighttpd", "-f", files.MAIN])),
    Target("caddy", _caddy),
    Target("caddyfile", _caddyfile),
    Target("haproxy", _web_server(HaproxyServer, "haproxy", ["haproxy", "-f", files.MAIN])),
    Target("varnish", _web_server(VarnishServer, "varnishd", ["varnishd", "-f", files.MAIN, "-p", "vcl_path=/etc"])),
    Target("arguments", _arguments),
    Target("probe", _probe),
    Target("journal", _journal),
    Target("roots", _roots),
    Target("kernel", _kernel),
    Target("dns", _dns),
]
#: By name.
TARGETS: Dict[str, Target] = {target.name: target for target in _ALL}
