"""The cache of configurations between the lineages of one ``certbot renew``: every change to a file is noticed."""
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
from certbot_autowebroot.servers.common.file_cache import FileCache
from certbot_autowebroot.servers.common.file_cache import RecordingView
from certbot_autowebroot.servers.nginx import NginxServer
from certbot_autowebroot.system import processes
from certbot_autowebroot.system.views import View
from tests.lab.apache import Apache
from tests.lab.net import PUBLIC_V4
from tests.lab.nginx import Nginx
from tests.lab.nginx import public_directory

TOKEN = "token-token-token-token-token-token-token-t"


@pytest.fixture
def directory() -> Iterator[Path]:
    with public_directory() as directory:
        yield directory


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is cacheable from the next tick of the kernel's clock for files on."""
    monkeypatch.setattr(file_cache, "MIN_AGE", 0.0)


def tick() -> None:
    """Wait until the next change gets another time."""
    time.sleep(0.03)


class Reader:
    """Reads everything below a directory through a cache."""

    def __init__(self, directory: Path) -> None:
        self.times = 0
        self._directory = directory
        self._cache: FileCache[List[Tuple[str, bytes]]] = FileCache()

    def read(self, key: object = None) -> List[Tuple[str, bytes]]:
        tick()
        return self._cache.get(key, View.of_host(), self._make)

    def _make(self, view: RecordingView) -> List[Tuple[str, bytes]]:
        self.times += 1
        files = [path for pattern in ("*.conf", "*.d/*.conf", "one/extra") for path in
                 view.glob(f"{self._directory}/{pattern}")]
        return [(os.path.relpath(path, self._directory), view.read(path)) for path in files]


def populated(directory: Path) -> Path:
    """The directory with a few files and directories."""
    (directory / "one.d").mkdir()
    (directory / "one").mkdir()
    (directory / "main.conf").write_text("main")
    (directory / "one.d" / "a.conf").write_text("aaaa")
    (directory / "one.d" / "b.conf").symlink_to("../b")
    return directory


def keep_mtime(path: Path, change: Callable[[Path], object]) -> None:
    """Change a file and set its time of modification back, as cp -p and rsync -t do."""
    before = path.stat()
    change(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES = {
    "content": lambda d: (d / "main.conf").write_text("MAIN"),
    "content, with the old time": lambda d: keep_mtime(d / "main.conf", lambda path: path.write_text("MAIN")),
    "size": lambda d: (d / "one.d" / "a.conf").write_text("aaaaa"),
    "another file in its directory": lambda d: (shutil.copy(d / "main.conf", d / "new"),
                                            os.replace(d / "new", d / "one.d" / "a.conf")),
    "a new file": lambda d: (d / "one.d" / "c.conf").write_text(""),
    "a new directory": lambda d: ((d / "two.d").mkdir(), (d / "two.d" / "c.conf").write_text("")),
    "a file that was missing": lambda d: (d / "one" / "extra").write_text(""),
    "the target of a dangling link": lambda d: (d / "b").write_text("b"),
    "a file less": lambda d: (d / "one.d" / "a.conf").unlink(),
    "a name": lambda d: (d / "one.d" / "a.conf").rename(d / "one.d" / "z.conf"),
    "a directory in the directory of another": lambda d: ((d / "one.d").rename(d / "old"), (d / "one.d").mkdir()),
    "a link to another directory": lambda d: ((d / "one.d").rename(d / "old"), (d / "empty").mkdir(),
                                              (d / "one.d").symlink_to("empty")),
}


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_is_noticed(tmp_path: Path, change: Callable[[Path], object]) -> None:
    """Without a change nothing is read again; after a change the value is that of an empty cache."""
    reader = Reader(populated(tmp_path))
    assert reader.read() is reader.read()
    assert reader.times == 1
    change(tmp_path)
    assert reader.read() == Reader(tmp_path).read()
    assert reader.times == 2
    assert reader.read() is reader.read()


@pytest.mark.usefixtures("at_once")
def test_keys_have_values_of_their_own(tmp_path: Path) -> None:
    """The same files read by another process may mean something else."""
    reader = Reader(populated(tmp_path))
    assert reader.read((1, 100)) is not reader.read((1, 101))


def test_recent_change_is_not_cached(tmp_path: Path) -> None:
    """The file may change again within one tick of the kernel's clock, and then has the same time."""
    reader = Reader(populated(tmp_path))
    assert reader.read() is not reader.read()


@pytest.mark.usefixtures("at_once")
def test_change_during_reading_is_not_cached(tmp_path: Path) -> None:
    """httpd reads the files itself, perhaps before we record their times."""
    main = populated(tmp_path) / "main.conf"
    tick()

    def make(view: RecordingView) -> bytes:
        content = main.read_bytes()
        tick()
        main.write_text(main.read_text() + "x")
        view.stat(str(main))
        return content
    values: FileCache[bytes] = FileCache()
    assert [values.get(None, View.of_host(), make) for _ in range(2)] == [b"main", b"mainx"]


@pytest.mark.usefixtures("at_once")
def test_failure_is_not_cached(tmp_path: Path) -> None:
    """The next lineage tries again."""
    values: FileCache[str] = FileCache()
    with pytest.raises(FileNotFoundError):
        values.get(None, View.of_host(), lambda view: str(view.read(f"{tmp_path}/none")))
    assert values.get(None, View.of_host(), lambda view: "now") == "now"


def answer(server: Any, pid: int, host: str = "a.test") -> str:
    """The first destination, for a new order, without the path of the challenge."""
    tick()
    process = processes.process(pid)
    assert process is not None
    request = Request(host, f"/.well-known/acme-challenge/{TOKEN}", TOKEN, Endpoint(PUBLIC_V4, 80))
    return str(server().ask(process, request)[0]).partition("/.well-known")[0]


NGINX = "server { listen 80 default_server; root /none; }\ninclude {dir}/sites/*.conf;"


@pytest.mark.lab
@pytest.mark.usefixtures("at_once")
def test_nginx_configuration_is_read_again_after_change(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a change to a file, a new file, a change in a server block, or a new process; not without a change."""
    read: List[str] = []
    real = nginx_module.parse
    monkeypatch.setattr(nginx_module, "parse", lambda conf, *more: read.append(conf) or real(conf, *more))
    nginx = Nginx(directory, NGINX)
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
    other = Nginx(directory, NGINX.replace("/none", "/other"))
    other.start(["nginx", "-p", str(directory), "-c", str(other.conf), "-e", str(directory / "other.log")])
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
def test_apache_is_asked_again_after_change(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file with nothing but an Include has no line in the dump; its status is compared all the same."""
    asked: List[int] = []
    real = apache_module.dump
    monkeypatch.setattr(apache_module, "dump", lambda process, *more: asked.append(process.pid) or real(process, *more))
    apache = Apache(directory, APACHE)
    (directory / "sites").mkdir()
    (directory / "more").mkdir()
    (directory / "sites" / "all.conf").write_text(f"Include {directory}/more/*.conf\n")
    site = directory / "more" / "a.conf"

    def write(path: Path, host: str, root: str) -> None:
        (directory / root).mkdir(exist_ok=True)
        path.write_text(f"<VirtualHost *:80>\nServerName {host}\nDocumentRoot {directory}/{root}\n</VirtualHost>\n")
    write(site, "a.test", "old")
    with apache:
        assert [answer(ApacheServer, apache.pid) for _ in range(3)] == [f"{directory}/old"] * 3
        assert len(asked) == 1
        write(site, "a.test", "new")
        assert [answer(ApacheServer, apache.pid) for _ in range(2)] == [f"{directory}/new"] * 2
        write(directory / "more" / "b.conf", "b.test", "b")
        assert [answer(ApacheServer, apache.pid, "b.test") for _ in range(2)] == [f"{directory}/b"] * 2
        write(directory / "other.conf", "c.test", "c")
        (directory / "sites" / "all.conf").write_text(f"Include {directory}/other.conf\n")
        assert [answer(ApacheServer, apache.pid) for _ in range(2)] == [f"{directory}/c"] * 2
        assert len(asked) == 4


@pytest.mark.lab
@pytest.mark.usefixtures("at_once")
def test_apache_with_variable_in_include_is_not_cached(directory: Path) -> None:
    """Only httpd knows the value: a slow answer is better than a wrong one."""
    (directory / "a.conf").write_text("<VirtualHost *:80>\nServerName a.test\n</VirtualHost>\n")
    apache = Apache(directory, "ServerName localhost\nDefine which a\nListen 80\nDocumentRoot {dir}\n"
                           "Include {dir}/${which}.conf\n")
    with apache:
        assert answer(ApacheServer, apache.pid) == str(directory)
        (directory / "a.conf").write_text(f"<VirtualHost *:80>\nServerName a.test\nDocumentRoot {directory}/run\n"
                                      "</VirtualHost>\n")
        assert answer(ApacheServer, apache.pid) == f"{directory}/run"
