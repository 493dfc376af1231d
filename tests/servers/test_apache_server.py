"""From a running httpd to its configuration: asked of the binary where that is safe, else read from the files."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
from random import Random
from typing import List
from typing import Optional

import pytest

from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import PathInView
from certbot_autowebroot.route import Redirect
from certbot_autowebroot.route import Source
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.servers import apache
from certbot_autowebroot.servers.apache import ApacheServer
from certbot_autowebroot.servers.apache import parser
from certbot_autowebroot.servers.apache.directives import ConfigurationError
from certbot_autowebroot.servers.apache.directives import Directive
from certbot_autowebroot.servers.apache.dump import dump
from certbot_autowebroot.servers.apache.dump import parse
from certbot_autowebroot.servers.apache.parser import Parser
from certbot_autowebroot.servers.apache.rows import Unread
from certbot_autowebroot.system import processes
from certbot_autowebroot.system.processes import Process
from certbot_autowebroot.system.views import View
from tests.lab.apache import DEFAULT_MODULES
from tests.lab.apache import MODULES
from tests.lab.apache import PROGRAM
from tests.lab.apache import Apache
from tests.lab.random.apache_oracle import NAMES
from tests.lab.random.apache_oracle import Asked
from tests.lab.random.apache_oracle import fetch
from tests.lab.random.apache_oracle import fill

CONFIGURATION = """
Listen 80
ServerName main.test
<Directory {dir}>
Require all granted
</Directory>
<VirtualHost *:80>
ServerName a.test
DocumentRoot {dir}/a
</VirtualHost>
<VirtualHost *:80>
ServerName b.test
DocumentRoot {dir}/b
</VirtualHost>
"""


def looked_at(pid: int) -> Process:
    """The process of a server of ours."""
    found = processes.process(pid)
    assert found is not None
    return found


def ask(server: Apache, host: str, pid: Optional[int] = None) -> List[Destination]:
    """What a new ApacheServer says of the challenge of a host."""
    process = looked_at(pid or server.pid)
    assert ApacheServer().recognises(process)
    return list(ApacheServer().ask(process, Asked(host).request))


def trail_of(destination: Destination) -> str:
    """The trail as text."""
    return "\n".join(str(step) for step in destination.trail)


@pytest.fixture
def roots(tmp_path: pathlib.Path) -> pathlib.Path:
    """A directory with the document roots a and b, filled."""
    fill(tmp_path / "a")
    fill(tmp_path / "b")
    return tmp_path


def test_trail_names_the_virtual_host_and_the_deciding_line(roots: pathlib.Path) -> None:
    """Both with the line where a person finds them."""
    with Apache(roots, CONFIGURATION) as server:
        (destination,) = ask(server, "b.test")
    lines = server.file.read_text().split("\n")
    opening = lines.index("ServerName b.test")
    assert isinstance(destination, Directory)
    assert [(step.text, step.source) for step in destination.trail] == [
        ("<VirtualHost *:80> b.test", Source(str(server.file), opening)),
        (f"DocumentRoot {roots}/b", Source(str(server.file), opening + 2))]


def test_a_worker_is_asked_like_its_parent(roots: pathlib.Path) -> None:
    """The owner of a socket may be a worker, another user's process; the parent's arguments count."""
    with Apache(roots, CONFIGURATION) as server:
        assert fetch(Asked("b.test")).startswith("file ")  # by now the worker has given root up
        assert {looked_at(pid).uid for pid in server.workers} != {os.geteuid()}
        answers = [ask(server, "b.test", pid) for pid in (server.pid, *server.workers)]
    assert all(answer == answers[0] for answer in answers)
    assert "not certain" not in trail_of(answers[0][0])


def test_one_dump_for_many_names(roots: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An order of a hundred names asks the binary once, whichever worker it meets."""
    asked: List[int] = []
    monkeypatch.setattr(apache, "dump", lambda process, *more: asked.append(process.pid) or dump(process, *more))
    with Apache(roots, CONFIGURATION) as server:
        web_server = ApacheServer()
        for number in range(100):
            pid = [server.pid, *server.workers][number % 2]
            web_server.ask(looked_at(pid), Asked(f"{number}.test").request)
        assert asked == [server.pid]


def test_a_binary_deleted_by_an_upgrade_still_answers(roots: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """/proc/PID/exe is what runs, whatever has become of the file."""
    binary = roots / "apache2"
    shutil.copy(PROGRAM, binary)
    monkeypatch.setattr("tests.lab.apache.PROGRAM", str(binary))
    with Apache(roots, CONFIGURATION) as server:
        binary.unlink()
        (destination,) = ask(server, "b.test")
    assert str(destination) == f"{roots}/b/{NAMES[0]}"
    assert "not certain" not in trail_of(destination)


def test_dump_creates_nothing_binds_nothing_runs_nothing(roots: pathlib.Path) -> None:
    """By strace: the piped log and the map's program do not start, no file is opened for writing."""
    program = roots / "program"
    program.write_text("#!/bin/sh\nexec cat\n")
    program.chmod(0o755)
    configuration = CONFIGURATION + (
        "RewriteMap m prg:{dir}/program\n"
        'CustomLog "|{dir}/program" "%h"\nScoreBoardFile {dir}/run/scoreboard\n')
    script = ("import sys; from certbot_autowebroot.system import processes; "
              "from certbot_autowebroot.servers.apache.dump import dump; "
              "assert dump(processes.process(int(sys.argv[1]))).directives")
    trace = roots / "trace"
    with Apache(roots, configuration) as server:
        before = _snapshot(roots, trace)
        subprocess.run(["strace", "-f", "-qq", "-o", str(trace), "-e", "trace=execve,bind,listen,connect,creat,mkdir,"
                        "mkdirat,unlink,unlinkat,rename,renameat,renameat2,chmod,fchmod,fchmodat,chown,fchown,fchownat,"
                        "link,linkat,symlink,symlinkat,truncate,ftruncate,mknod,mknodat,shmget,openat,open",
                        sys.executable, "-B", "-c", script, str(server.pid)], check=True, cwd=os.getcwd())
        assert _snapshot(roots, trace) == before
    calls = [line.split(None, 1)[1] for line in trace.read_text().splitlines()]
    executed = [call for call in calls if call.startswith("execve(")]
    assert [re.sub(r"\d+", "N", call.split('"')[1]) for call in executed[1:]] == ["/proc/self/fd/N"]
    # Of the C library: the null device, and the sockets by which it looks up names.
    harmless = re.compile(r"execve\(|connect\(|bind\(\d+, \{sa_family=AF_NETLINK|---|\+\+\+"
                          r'|open(?:at)?\((?:AT_FDCWD, )?(?:"/dev/null"|"[^"]*", (?:O_RDONLY|O_PATH)'
                          r"(?!\S*(?:O_CREAT|O_TRUNC)))")
    assert [call for call in calls if not harmless.match(call)] == []


def _snapshot(directory: pathlib.Path, but: pathlib.Path) -> "List[tuple[str, int, int]]":
    return sorted((str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in directory.rglob("*")
                  if path != but and not path.name.startswith("error.log"))


def test_broken_on_disk_is_read_and_said(roots: pathlib.Path) -> None:
    """The running server goes on serving; what the files still say is a candidate, with the doubt in its trail."""
    with Apache(roots, CONFIGURATION) as server:
        server.write(CONFIGURATION + "<VirtualHost *:80>\nNoSuchDirective\n")
        assert fetch(Asked("b.test")).startswith("file ")
        (destination,) = ask(server, "b.test")
    assert str(destination) == f"{roots}/b/{NAMES[0]}"
    assert "apache2 -t rejects the configuration on disk" in trail_of(destination)
    assert "<virtualhost> is not closed" in trail_of(destination)


def test_without_mod_info_the_files_are_read(roots: pathlib.Path) -> None:
    """A distribution may leave the module out."""
    modules = roots / "modules"
    shutil.copytree(MODULES, modules, ignore=shutil.ignore_patterns("mod_info.so"))
    with Apache(roots, CONFIGURATION) as server:
        server.stop()
        server.file.write_text(server.file.read_text().replace(MODULES, str(modules)))
        server.start()
        with pytest.raises(ConfigurationError, match="mod_info"):
            dump(looked_at(server.pid))
        (destination,) = ask(server, "b.test")
    assert str(destination) == f"{roots}/b/{NAMES[0]}"


def test_mod_info_is_found_beside_any_module(roots: pathlib.Path) -> None:
    """One that was built by its owner lies alone, and what was loaded last comes first in the process's maps."""
    shutil.copy(f"{MODULES}/mod_status.so", roots)
    with Apache(roots, f"LoadModule status_module {{dir}}/mod_status.so\n{CONFIGURATION}") as server:
        assert dump(looked_at(server.pid)).directives


def test_what_is_read_of_a_virtual_host_at_once_is_what_is_read_later(roots: pathlib.Path) -> None:
    """Names from the dump's text are those of its directives, wherever they stand and however they are written."""
    (roots / "names.inc").write_text("serveralias Included.test *.included.test\n")
    (roots / "empty.inc").write_text("\n")
    configuration = (
        "<Macro Named $name>\nServerAlias macro.$name\n</Macro>\n" + CONFIGURATION +
        "<VirtualHost *:80>\n</VirtualHost>\n"
        "<VirtualHost *:80>\nDocumentRoot {dir}/a\nInclude {dir}/empty.inc\n"
        "<Location /x>\nHeader set X '# In file: no'\n</Location>\nInclude {dir}/names.inc\n"
        "SERVERNAME \"https://Quoted.test:8443\"\nUse Named quoted.test\nServerAlias 'one' \\\n  two\n</VirtualHost>\n"
        "<VirtualHost *:80>\nServerName first.test\nServerName last.test\n"
        "<Directory {dir}/b>\nHeader set ServerName no.test\n</Directory>\nHeader set X ServerName\n</VirtualHost>\n"
        "Alias /after {dir}/a\n")
    with Apache(roots, configuration) as server:
        dumped, read = dump(looked_at(server.pid)), parser.read(looked_at(server.pid))
    hosts = [one for one in dumped.directives if one.name == "virtualhost"]
    for host in hosts:
        assert isinstance(host.children, Unread)
        at_once = host.children.names
        assert at_once == [one for one in host.children if one.name in ("servername", "serveralias")]
    assert [len(host.children) for host in hosts] == [2, 2, 0, 6, 4]
    assert dumped.directives[-1].name == "alias"
    shown = [[(one.name, one.words, one.file, one.line) for one in host.children] for host in hosts]
    assert shown == [[(one.name, one.words, one.file, one.line) for one in host.children]
                     for host in read.directives if host.name == "virtualhost"]


def test_mod_info_that_is_loaded_already_is_not_loaded_again(roots: pathlib.Path) -> None:
    """The module loaded by the configuration serves as well."""
    with Apache(roots, CONFIGURATION, (*DEFAULT_MODULES, "info")) as server:
        (destination,) = ask(server, "b.test")
    assert "not certain" not in trail_of(destination)


def test_options_of_the_command_line_hold(roots: pathlib.Path) -> None:
    """-D, -C and -c of the running process are the dump's and the reader's too."""
    configuration = CONFIGURATION.replace("{dir}/b", "${here}") + "<IfDefine MORE>\nAlias /x {dir}/a\n</IfDefine>\n"
    arguments = ["-DMORE", "-C", f"Define here {roots}/b", "-c", f"Alias /y {roots}/a"]
    with Apache(roots, configuration, arguments=arguments) as server:
        process = looked_at(server.pid)
        aliases = [[d.text for d in found.directives if d.name == "alias"] for found in
                   (dump(process), parser.read(process))]
        (destination,) = ask(server, "b.test")
    assert aliases[0] == aliases[1] == [f"/x {roots}/a", f"/y {roots}/a"]
    assert str(destination) == f"{roots}/b/{NAMES[0]}"


def test_another_users_httpd_is_never_run(roots: pathlib.Path) -> None:
    """As root we would run his -f and his LD_PRELOAD: his configuration is only read."""
    for name in ("run", "logs"):
        (roots / name).mkdir()
        shutil.chown(roots / name, "www-data", "www-data")
    server = Apache(roots, CONFIGURATION.replace(":80", ":8080").replace("Listen 80", "Listen 8080"))
    with subprocess.Popen(server.argv, user="www-data", group="www-data", extra_groups=[], stderr=subprocess.DEVNULL
                          ) as process:
        try:
            while "resuming normal operations" not in server.log:
                assert process.poll() is None, server.log
            with pytest.raises(ConfigurationError, match="is not run by another"):
                dump(looked_at(process.pid))
            answer = ApacheServer().ask(looked_at(process.pid), Asked("b.test", port=8080).request)
        finally:
            process.terminate()
    assert str(answer[0]) == f"{roots}/b/{NAMES[0]}"


def test_a_containers_httpd_is_never_run(roots: pathlib.Path) -> None:
    """Another mount namespace: the binary there is the container's."""
    server = Apache(roots, CONFIGURATION)
    with subprocess.Popen(["unshare", "-m", *server.argv], stderr=subprocess.DEVNULL) as process:
        try:
            while "resuming normal operations" not in server.log:
                assert process.poll() is None, server.log
            with pytest.raises(ConfigurationError, match="container"):
                dump(looked_at(process.pid))
            (destination,) = ask(server, "b.test", process.pid)
        finally:
            process.terminate()
    assert str(destination) == f"{roots}/b/{NAMES[0]}"


@pytest.mark.parametrize(("name", "expected"), [("apache2", True), ("httpd", True), ("busybox", False),
                                                ("nginx", False), ("lighttpd", False)])
def test_recognises(name: str, expected: bool) -> None:
    """By the executable's name; BusyBox's httpd is busybox."""
    process = Process(1, 0, 1, name, ("httpd", "-f"), PathInView(f"/bin/{name}"), PathInView("/"), 0)
    assert ApacheServer().recognises(process) is expected


def test_a_process_that_has_ended_is_unknown() -> None:
    """Between the look and the question httpd may stop."""
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    process = Process(gone.pid, 0, 1, "apache2", ("apache2",), PathInView(PROGRAM), PathInView("/"), 0)
    (destination,) = ApacheServer().ask(process, Asked("a.test").request)
    assert isinstance(destination, Unknown)


# Bad input.


@pytest.mark.parametrize("broken", [
    "Include {dir}/missing.conf", "Include {dir}/fifo", "Include {dir}/loop.conf", "Include {dir}",
    "Include /dev/zero", "Include /proc/kmsg", "<VirtualHost", "</VirtualHost>", "<IfModule mod_rewrite.c>\n", "\\",
    "Use Nothing", "<Macro M>\nUse M\n</Macro>\nUse M", "<Macro M>\nUse M\nUse M\n</Macro>\nUse M\nUse M",
    "DocumentRoot", "ServerName", "ServerName [::", "Alias", "Alias /x", "Redirect", "RewriteRule", "RewriteRule (",
    "ProxyPass /", "ProxyPass / http://[", "<Directory>\n</Directory>", "<Location ~>\n</Location>",
    "<VirtualHost *:99999999999>\n</VirtualHost>", "Listen x", "Define", "${x}${", "<If \"\">\nRequire x\n</If>",
    "Bogus \xff\xfe\x00 \x01", "<A>" * 300, "AliasMatch [ /x", "Require", "\0" * 1000])
def test_a_broken_configuration_neither_hangs_nor_raises(broken: str, roots: pathlib.Path,
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    """The virtual host that is still there is found, or the reason is said."""
    monkeypatch.setattr(sys.modules[dump.__module__], "TIMEOUT", 1.0)
    os.mkfifo(roots / "fifo")
    (roots / "loop.conf").write_text(f"Include {roots}/loop.conf\nInclude {roots}/loop.conf\n")
    with Apache(roots, CONFIGURATION) as server:
        with open(server.file, "a", encoding="latin-1") as file:
            file.write(broken.replace("{dir}", str(roots)) + "\n")
        destinations = ask(server, "b.test")
    assert destinations
    for destination in destinations:
        if isinstance(destination, Directory):
            assert str(destination) == f"{roots}/b/{NAMES[0]}"
        else:
            assert isinstance(destination, (DeadEnd, Unknown))
            assert destination.reason


def test_garbage_never_raises() -> None:
    """Bytes of all kinds, and configurations cut and shuffled: a tree or a ConfigurationError."""
    random = Random(7)  # noqa: S311 - the same garbage each time
    view = View.of_host()
    lines = [*CONFIGURATION.split("\n"), "<IfDefine A>", "</IfDefine>", "<Macro x $a>", "</Macro>", "Use x \\", "${a}",
             '<If "', "</If>", "RewriteCond %{", "<Limit GET>", "</Limit>", "\udcff"]
    for _ in range(2000):
        text = "\n".join(random.choices(lines, k=random.randrange(30)))
        if random.random() < 0.3:
            text = os.fsdecode(random.randbytes(random.randrange(200)))
        try:
            found = Parser(view, "/nonexistent", {}).text(text, "x")
            assert all(isinstance(directive, Directive) for directive in found)
        except ConfigurationError as error:
            assert str(error)
        with pytest.raises(ConfigurationError):
            parse(text.split("\n"))


def test_a_cut_dump_is_a_tree_or_an_error(roots: pathlib.Path) -> None:
    """Wherever the output ends, nothing else is raised."""
    text = (f"VirtualHost configuration:\n*:80 a.test ({roots}/x:2)\n# In file: {roots}/x\n#   1:\nListen 80\n#   2:\n"
            "<VirtualHost *:80>\n  #   3:\n  ServerName a.test\n</VirtualHost>\nServerRoot: \"/x\"\n")
    complete = 0
    for end in range(len(text)):
        try:
            complete += len(parse(text[:end].split("\n")).directives) == 2
        except ConfigurationError as error:
            assert str(error)
    assert complete > 20
    with pytest.raises(ConfigurationError, match="not opened"):
        parse(["# In file: x", "#   1:", "</VirtualHost>"])


def test_a_regular_expression_that_backtracks_is_unknown(roots: pathlib.Path) -> None:
    """It is given up, and said."""
    configuration = CONFIGURATION.replace("DocumentRoot {dir}/b", r"RedirectMatch 301 ^(/?[^!]+[^!]*)+!$ http://x.test/")
    with Apache(roots, configuration) as server:
        (destination,) = ask(server, "b.test")
    assert isinstance(destination, Unknown)
    assert "long" in destination.reason


def test_a_condition_on_the_client_gives_both_answers(roots: pathlib.Path) -> None:
    """Who the CA will be cannot be known: both destinations are said, with what they hang on."""
    configuration = CONFIGURATION.replace("DocumentRoot {dir}/b", "DocumentRoot {dir}/b\nRewriteEngine On\n"
                                          r"RewriteCond %{REMOTE_ADDR} !^10\." "\n"
                                          "RewriteRule ^ https://other.test/ [R,L]")
    with Apache(roots, configuration) as server:
        destinations = ask(server, "b.test")
    assert {type(d) for d in destinations} == {Directory, Redirect}
    assert all("REMOTE_ADDR" in trail_of(d) for d in destinations)


def test_a_file_that_sends_the_request_elsewhere_is_a_dead_end(tmp_path: pathlib.Path) -> None:
    """Without the file nothing answers; with it the request is redirected: the file itself is never served."""
    (tmp_path / "b").mkdir()
    configuration = CONFIGURATION.replace("DocumentRoot {dir}/b", "DocumentRoot {dir}/b\nRewriteEngine On\n"
                                          "RewriteCond %{DOCUMENT_ROOT}%{REQUEST_URI} -f\n"
                                          "RewriteRule ^ https://other.test/ [R,L]")
    with Apache(tmp_path, configuration) as server:
        without = fetch(Asked("b.test"))
        (destination,) = ask(server, "b.test")
        fill(tmp_path / "b")
        assert [without, fetch(Asked("b.test"))] == ["none 404", "302 https://other.test/"]
    assert isinstance(destination, DeadEnd)
    assert "as soon as it exists" in destination.reason
    assert "RewriteRule" in str(destination.trail[-1])


def test_require_ip_is_a_directory_with_a_doubt(roots: pathlib.Path) -> None:
    """An allow-list may shut out the probe or the CA; only they find out."""
    configuration = CONFIGURATION + "<Location /.well-known>\nRequire ip 10.0.0.0/8\n</Location>\n"
    with Apache(roots, configuration) as server:
        (destination,) = ask(server, "b.test")
    assert isinstance(destination, Directory)
    assert "Require ip 10.0.0.0/8: who asks decides" in trail_of(destination)


@pytest.mark.parametrize("lines, depends", [
    ("RewriteCond %{REMOTE_ADDR} !^10\\.\nRewriteRule ^ - [F]", True),
    ("RewriteCond %{HTTP_USER_AGENT} curl\nRewriteRule ^ - [E=curl:1]", False),
    ("RewriteCond %{DOCUMENT_ROOT}/maintenance.html -f\nRewriteRule ^ - [F]", False),
    ("RewriteCond %{DOCUMENT_ROOT}%{REQUEST_URI} !-f\nRewriteCond %{HTTP_USER_AGENT} curl\nRewriteRule ^ - [F]", False),
    ("RemoteIPProxyProtocol On", True)])
def test_what_hangs_on_the_client_is_a_directory_with_a_doubt(lines: str, depends: bool, roots: pathlib.Path) -> None:
    """A rule may shut us out where it lets the CA in, and a load balancer sends the PROXY line that we do not."""
    configuration = CONFIGURATION.replace("DocumentRoot {dir}/b", f"DocumentRoot {{dir}}/b\nRewriteEngine On\n{lines}")
    with Apache(roots, configuration, (*DEFAULT_MODULES, "remoteip")) as server:
        (destination,) = ask(server, "b.test")
    assert isinstance(destination, Directory)
    assert destination.depends_on_client == depends
