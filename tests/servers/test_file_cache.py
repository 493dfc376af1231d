"""What is kept between the lineages of one ``certbot renew``: change all that it depends on, and the change is seen."""
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any
from typing import Callable
from typing import Iterator
from typing import List
from typing import Tuple

import pytest

from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Request
from certbot_autowebroot.servers import apache as apache_module
from certbot_autowebroot.servers import nginx as nginx_module
from certbot_autowebroot.servers.apache import ApacheServer
from certbot_autowebroot.servers.common import file_cache
from certbot_autowebroot.servers.common.file_cache import Kept
from certbot_autowebroot.servers.common.file_cache import Noting
from certbot_autowebroot.servers.nginx import NginxServer
from certbot_autowebroot.system import processes
from certbot_autowebroot.system.views import View
from tests.lab.apache import Apache
from tests.lab.net import PUBLIC_V4
from tests.lab.nginx import Nginx
from tests.lab.nginx import public_directory

TOKEN = "kept-kept-kept-kept-kept-kept-kept-kept-kep"


@pytest.fixture
def place() -> Iterator[Path]:
    with public_directory() as directory:
        yield directory


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file counts as settled as soon as the kernel's clock for files has gone on."""
    monkeypatch.setattr(file_cache, "SETTLED", 0.0)


def tick() -> None:
    """Wait until another change has another time."""
    time.sleep(0.03)


class Reader:
    """Reads everything below a directory by way of what is kept."""

    def __init__(self, directory: Path) -> None:
        self.times = 0
        self._directory = directory
        self._kept: Kept[List[Tuple[str, bytes]]] = Kept()

    def read(self, key: object = None) -> List[Tuple[str, bytes]]:
        tick()
        return self._kept.get(key, View.of_host(), self._make)

    def _make(self, view: Noting) -> List[Tuple[str, bytes]]:
        self.times += 1
        files = [path for pattern in ("*.conf", "*.d/*.conf", "one/extra") for path in
                 view.glob(f"{self._directory}/{pattern}")]
        return [(os.path.relpath(path, self._directory), view.read(path)) for path in files]


def written(directory: Path) -> Path:
    """A few files in directories."""
    (directory / "one.d").mkdir()
    (directory / "one").mkdir()
    (directory / "main.conf").write_text("main")
    (directory / "one.d" / "a.conf").write_text("aaaa")
    (directory / "one.d" / "b.conf").symlink_to("../b")
    return directory


def keep_the_times(path: Path, change: Callable[[Path], object]) -> None:
    """Change a file and set its time of modification back, as cp -p and rsync -t do."""
    before = path.stat()
    change(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES = {
    "content": lambda d: (d / "main.conf").write_text("MAIN"),
    "content, with the old time": lambda d: keep_the_times(d / "main.conf", lambda path: path.write_text("MAIN")),
    "size": lambda d: (d / "one.d" / "a.conf").write_text("aaaaa"),
    "another file in its place": lambda d: (shutil.copy(d / "main.conf", d / "new"),
                                            os.replace(d / "new", d / "one.d" / "a.conf")),
    "a new file": lambda d: (d / "one.d" / "c.conf").write_text(""),
    "a new directory": lambda d: ((d / "two.d").mkdir(), (d / "two.d" / "c.conf").write_text("")),
    "a file that was missing": lambda d: (d / "one" / "extra").write_text(""),
    "the target of a dangling link": lambda d: (d / "b").write_text("b"),
    "a file less": lambda d: (d / "one.d" / "a.conf").unlink(),
    "a name": lambda d: (d / "one.d" / "a.conf").rename(d / "one.d" / "z.conf"),
    "a directory in the place of another": lambda d: ((d / "one.d").rename(d / "old"), (d / "one.d").mkdir()),
    "a link to another directory": lambda d: ((d / "one.d").rename(d / "old"), (d / "empty").mkdir(),
                                              (d / "one.d").symlink_to("empty")),
}


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_is_seen(tmp_path: Path, change: Callable[[Path], object]) -> None:
    """While nothing changes nothing is read again; after a change the value is the one without anything kept."""
    reader = Reader(written(tmp_path))
    assert reader.read() is reader.read()
    assert reader.times == 1
    change(tmp_path)
    assert reader.read() == Reader(tmp_path).read()
    assert reader.times == 2
    assert reader.read() is reader.read()


@pytest.mark.usefixtures("at_once")
def test_another_key_is_another_value(tmp_path: Path) -> None:
    """The same files read by another process may mean something else."""
    reader = Reader(written(tmp_path))
    assert reader.read((1, 100)) is not reader.read((1, 101))


def test_what_has_just_changed_is_not_kept(tmp_path: Path) -> None:
    """It may change again without another time: within one tick of the kernel's clock nobody sees the second change."""
    reader = Reader(written(tmp_path))
    assert reader.read() is not reader.read()


@pytest.mark.usefixtures("at_once")
def test_what_changes_while_it_is_read_is_not_kept(tmp_path: Path) -> None:
    """httpd reads the files by itself, and may have read them before we look at their times."""
    main = written(tmp_path) / "main.conf"
    tick()

    def make(view: Noting) -> bytes:
        content = main.read_bytes()
        tick()
        main.write_text(main.read_text() + "x")
        view.stat(str(main))
        return content
    values: Kept[bytes] = Kept()
    assert [values.get(None, View.of_host(), make) for _ in range(2)] == [b"main", b"mainx"]


@pytest.mark.usefixtures("at_once")
def test_what_failed_is_not_kept(tmp_path: Path) -> None:
    """The next lineage tries again."""
    values: Kept[str] = Kept()
    with pytest.raises(FileNotFoundError):
        values.get(None, View.of_host(), lambda view: str(view.read(f"{tmp_path}/none")))
    assert values.get(None, View.of_host(), lambda view: "now") == "now"


def answer(server: Any, pid: int, host: str = "a.test") -> str:
    """Of an order of its own, from a process."""
    tick()
    process = processes.process(pid)
    assert process is not None
    request = Request(host, f"/.well-known/acme-challenge/{TOKEN}", TOKEN, Endpoint(PUBLIC_V4, 80))
    return str(server().ask(process, request)[0]).partition("/.well-known")[0]


NGINX = "server { listen 80 default_server; root /none; }\ninclude {dir}/sites/*.conf;"


@pytest.mark.lab
@pytest.mark.usefixtures("at_once")
def test_nginx_is_read_again_when_something_has_changed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file edited, a file added, a file of a server block, the process itself; and not when nothing has."""
    read: List[str] = []
    real = nginx_module.parse
    monkeypatch.setattr(nginx_module, "parse", lambda conf, *more: read.append(conf) or real(conf, *more))
    nginx = Nginx(place, NGINX)
    site = nginx.write("sites/b.conf", "server { server_name b.test; include {dir}/b.snippet; }")
    snippet = nginx.write("b.snippet", "root /old;")
    with nginx:
        assert [answer(NginxServer, nginx.pid, "b.test") for _ in range(3)] == ["/old"] * 3
        assert len(read) == 1
        snippet.write_text("root /new;")
        assert [answer(NginxServer, nginx.pid, "b.test") for _ in range(2)] == ["/new"] * 2
        nginx.write("sites/c.conf", "server { server_name c.test; root /c; }")
        assert [answer(NginxServer, nginx.pid, "c.test") for _ in range(2)] == ["/c"] * 2
        site.unlink()
        assert [answer(NginxServer, nginx.pid, "b.test") for _ in range(2)] == ["/none"] * 2
        os.kill(nginx.pid, signal.SIGHUP)
        assert answer(NginxServer, nginx.pid) == "/none"
        assert len(read) == 4
    other = Nginx(place, NGINX.replace("/none", "/other"))
    other.start(["nginx", "-p", str(place), "-c", str(place / "nginx.conf"), "-e", str(place / "other.log")])
    try:
        assert answer(NginxServer, other.pid) == "/other"
    finally:
        other.stop()


APACHE = """ServerName localhost
Listen 80
<IfModule mod_alias.c>
    IncludeOptional {dir}/sites/*.conf
</IfModule>
"""


@pytest.mark.lab
@pytest.mark.usefixtures("at_once")
def test_apache_is_asked_again_when_something_has_changed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that holds nothing but an Include has no line in the dump, and is watched all the same."""
    asked: List[int] = []
    real = apache_module.dump
    monkeypatch.setattr(apache_module, "dump", lambda process, *more: asked.append(process.pid) or real(process, *more))
    apache = Apache(place, APACHE)
    (place / "sites").mkdir()
    (place / "more").mkdir()
    (place / "sites" / "all.conf").write_text(f"Include {place}/more/*.conf\n")
    site = place / "more" / "a.conf"

    def write(path: Path, host: str, root: str) -> None:
        (place / root).mkdir(exist_ok=True)
        path.write_text(f"<VirtualHost *:80>\nServerName {host}\nDocumentRoot {place}/{root}\n</VirtualHost>\n")
    write(site, "a.test", "old")
    with apache:
        assert [answer(ApacheServer, apache.pid) for _ in range(3)] == [f"{place}/old"] * 3
        assert len(asked) == 1
        write(site, "a.test", "new")
        assert [answer(ApacheServer, apache.pid) for _ in range(2)] == [f"{place}/new"] * 2
        write(place / "more" / "b.conf", "b.test", "b")
        assert [answer(ApacheServer, apache.pid, "b.test") for _ in range(2)] == [f"{place}/b"] * 2
        write(place / "other.conf", "c.test", "c")
        (place / "sites" / "all.conf").write_text(f"Include {place}/other.conf\n")
        assert [answer(ApacheServer, apache.pid) for _ in range(2)] == [f"{place}/c"] * 2
        assert len(asked) == 4


@pytest.mark.lab
@pytest.mark.usefixtures("at_once")
def test_apache_with_a_variable_in_an_include_is_asked_each_time(place: Path) -> None:
    """Where it leads is httpd's secret: better slow than wrong."""
    (place / "a.conf").write_text("<VirtualHost *:80>\nServerName a.test\n</VirtualHost>\n")
    apache = Apache(place, "ServerName localhost\nDefine which a\nListen 80\nDocumentRoot {dir}\n"
                           "Include {dir}/${which}.conf\n")
    with apache:
        assert answer(ApacheServer, apache.pid) == str(place)
        (place / "a.conf").write_text(f"<VirtualHost *:80>\nServerName a.test\nDocumentRoot {place}/run\n"
                                      "</VirtualHost>\n")
        assert answer(ApacheServer, apache.pid) == f"{place}/run"
