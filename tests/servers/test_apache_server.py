"""The configuration of a running httpd: dumped by its binary where that is safe, else read from the files."""
import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
from random import Random
from typing import Iterator
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
from certbot_autowebroot.servers.apache.rows import UnparsedContents
from certbot_autowebroot.system import processes
from certbot_autowebroot.system.processes import Process
from certbot_autowebroot.system.views import View
from tests.lab.apache import DEFAULT_MODULES
from tests.lab.apache import MODULES
from tests.lab.apache import PROGRAM
from tests.lab.apache import Apache
from tests.lab.random.apache_oracle import FILES
from tests.lab.random.apache_oracle import ask_server
from tests.lab.random.apache_oracle import fill
from tests.lab.random.apache_oracle import process_of
from tests.lab.random.apache_oracle import request_for

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


def process_with(pid: int) -> Process:
    """The process with an id."""
    process = processes.process(pid)
    assert process is not None
    return process


def ask(server: Apache, host: str, pid: Optional[int] = None) -> List[Destination]:
    """The answer of a new ApacheServer for the challenge of a host."""
    process = process_with(pid or server.pid)
    assert ApacheServer().recognises(process)
    return list(ApacheServer().ask(process, request_for(host)))


def trail_of(destination: Destination) -> str:
    """The trail as text."""
    return "\n".join(str(step) for step in destination.trail)


@pytest.fixture
def roots(tmp_path: pathlib.Path) -> pathlib.Path:
    """A directory with the document roots a and b, filled."""
    fill(tmp_path / "a")
    fill(tmp_path / "b")
    return tmp_path


@pytest.mark.lab
def test_trail_names_virtual_host_and_document_root(roots: pathlib.Path) -> None:
    """Both steps have file and line."""
    with Apache(roots, CONFIGURATION) as server:
        (destination,) = ask(server, "b.test")
    lines = server.file.read_text().split("\n")
    opening = lines.index("ServerName b.test")
    assert isinstance(destination, Directory)
    assert [(step.text, step.source) for step in destination.trail] == [
        ("<VirtualHost *:80> b.test", Source(str(server.file), opening)),
        (f"DocumentRoot {roots}/b", Source(str(server.file), opening + 2))]


@pytest.mark.lab
def test_worker_gives_answer_of_parent(roots: pathlib.Path) -> None:
    """A worker, another user's process, may hold a socket; the parent's arguments count."""
    with Apache(roots, CONFIGURATION) as server:
        assert ask_server(request_for("b.test")).startswith("file ")  # by now the worker has given root up
        assert {process_with(pid).uid for pid in server.workers} != {os.geteuid()}
        answers = [ask(server, "b.test", pid) for pid in (server.pid, *server.workers)]
    assert all(answer == answers[0] for answer in answers)
    assert "not certain" not in trail_of(answers[0][0])


@pytest.mark.lab
def test_one_dump_for_many_names(roots: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An order of a hundred names asks the binary once, for all workers."""
    asked: List[int] = []
    monkeypatch.setattr(apache, "dump", lambda process, *more: asked.append(process.pid) or dump(process, *more))
    with Apache(roots, CONFIGURATION) as server:
        web_server = ApacheServer()
        for number in range(100):
            pid = [server.pid, *server.workers][number % 2]
            web_server.ask(process_with(pid), request_for(f"{number}.test"))
        assert asked == [server.pid]


@pytest.mark.lab
def test_deleted_binary_still_dumps(roots: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """/proc/PID/exe runs after an upgrade has deleted the file."""
    binary = roots / "apache2"
    shutil.copy(PROGRAM, binary)
    monkeypatch.setattr("tests.lab.apache.PROGRAM", str(binary))
    with Apache(roots, CONFIGURATION) as server:
        binary.unlink()
        (destination,) = ask(server, "b.test")
    assert str(destination) == f"{roots}/b/{FILES[0]}"
    assert "not certain" not in trail_of(destination)


@pytest.mark.lab
def test_dump_writes_binds_and_runs_nothing(roots: pathlib.Path) -> None:
    """By strace: the programs of the piped log and the map don't start, no file is opened for writing."""
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
        before = _files_in(roots, trace)
        subprocess.run(["strace", "-f", "-qq", "-o", str(trace), "-e", "trace=execve,bind,listen,connect,creat,mkdir,"
                        "mkdirat,unlink,unlinkat,rename,renameat,renameat2,chmod,fchmod,fchmodat,chown,fchown,fchownat,"
                        "link,linkat,symlink,symlinkat,truncate,ftruncate,mknod,mknodat,shmget,openat,open",
                        sys.executable, "-B", "-c", script, str(server.pid)], check=True, cwd=os.getcwd())
        assert _files_in(roots, trace) == before
    calls = [line.split(None, 1)[1] for line in trace.read_text().splitlines()]
    executed = [call for call in calls if call.startswith("execve(")]
    assert [re.sub(r"\d+", "N", call.split('"')[1]) for call in executed[1:]] == ["/proc/self/fd/N"]
    # Of the C library: the null device, and the sockets by which it looks up names.
    harmless = re.compile(r"execve\(|connect\(|bind\(\d+, \{sa_family=AF_NETLINK|---|\+\+\+"
                          r'|open(?:at)?\((?:AT_FDCWD, )?(?:"/dev/null"|"[^"]*", (?:O_RDONLY|O_PATH)'
                          r"(?!\S*(?:O_CREAT|O_TRUNC)))")
    assert [call for call in calls if not harmless.match(call)] == []


def _files_in(directory: pathlib.Path, but: pathlib.Path) -> "List[tuple[str, int, int]]":
    return sorted((str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in directory.rglob("*")
                  if path != but and not path.name.startswith("error.log"))


@pytest.mark.lab
def test_broken_configuration_is_read_with_a_doubt(roots: pathlib.Path) -> None:
    """The running server keeps serving; the files give a candidate, with the doubt in its trail."""
    with Apache(roots, CONFIGURATION) as server:
        server.write(CONFIGURATION + "<VirtualHost *:80>\nNoSuchDirective\n")
        assert ask_server(request_for("b.test")).startswith("file ")
        (destination,) = ask(server, "b.test")
    assert str(destination) == f"{roots}/b/{FILES[0]}"
    assert "apache2 -t rejects the configuration on disk" in trail_of(destination)
    assert "<virtualhost> is not closed" in trail_of(destination)


@pytest.mark.lab
def test_files_are_read_without_mod_info(roots: pathlib.Path) -> None:
    """A distribution may not ship the module."""
    modules = roots / "modules"
    shutil.copytree(MODULES, modules, ignore=shutil.ignore_patterns("mod_info.so"))
    with Apache(roots, CONFIGURATION) as server:
        server.stop()
        server.file.write_text(server.file.read_text().replace(MODULES, str(modules)))
        server.start()
        with pytest.raises(ConfigurationError, match="mod_info"):
            dump(process_of(server))
        (destination,) = ask(server, "b.test")
    assert str(destination) == f"{roots}/b/{FILES[0]}"


@pytest.mark.lab
def test_mod_info_is_found_beside_any_module(roots: pathlib.Path) -> None:
    """A module of the owner may lie in a directory of its own; the process's maps begin with the last loaded module."""
    shutil.copy(f"{MODULES}/mod_status.so", roots)
    with Apache(roots, f"LoadModule status_module {{dir}}/mod_status.so\n{CONFIGURATION}") as server:
        assert dump(process_of(server)).directives


@pytest.mark.lab
def test_names_of_unparsed_virtual_host_match_its_directives(roots: pathlib.Path) -> None:
    """The names that are read from the dump's text are those of the parsed directives, in every spelling and file."""
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
        dumped, read = dump(process_of(server)), parser.read(process_of(server))
    hosts = [one for one in dumped.directives if one.name == "virtualhost"]
    for host in hosts:
        assert isinstance(host.children, UnparsedContents)
        at_once = host.children.names
        assert at_once == [one for one in host.children if one.name in ("servername", "serveralias")]
    assert [len(host.children) for host in hosts] == [2, 2, 0, 6, 4]
    assert dumped.directives[-1].name == "alias"
    shown = [[(one.name, one.words, one.file, one.line) for one in host.children] for host in hosts]
    assert shown == [[(one.name, one.words, one.file, one.line) for one in host.children]
                     for host in read.directives if host.name == "virtualhost"]


@pytest.mark.lab
def test_loaded_mod_info_is_used(roots: pathlib.Path) -> None:
    """The dump does not load the module that the configuration loads."""
    with Apache(roots, CONFIGURATION, (*DEFAULT_MODULES, "info")) as server:
        (destination,) = ask(server, "b.test")
    assert "not certain" not in trail_of(destination)


@pytest.mark.lab
def test_command_line_options_apply(roots: pathlib.Path) -> None:
    """The dump and our parser take -D, -C and -c from the running process."""
    configuration = CONFIGURATION.replace("{dir}/b", "${here}") + "<IfDefine MORE>\nAlias /x {dir}/a\n</IfDefine>\n"
    arguments = ["-DMORE", "-C", f"Define here {roots}/b", "-c", f"Alias /y {roots}/a"]
    with Apache(roots, configuration, arguments=arguments) as server:
        process = process_of(server)
        aliases = [[d.text for d in found.directives if d.name == "alias"] for found in
                   (dump(process), parser.read(process))]
        (destination,) = ask(server, "b.test")
    assert aliases[0] == aliases[1] == [f"/x {roots}/a", f"/y {roots}/a"]
    assert str(destination) == f"{roots}/b/{FILES[0]}"


@pytest.mark.lab
def test_httpd_of_another_user_is_not_run(roots: pathlib.Path) -> None:
    """As root we would run that user's -f and LD_PRELOAD: the files are only read."""
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
                dump(process_with(process.pid))
            answer = ApacheServer().ask(process_with(process.pid), request_for("b.test", port=8080))
        finally:
            process.terminate()
    assert str(answer[0]) == f"{roots}/b/{FILES[0]}"


@contextlib.contextmanager
def with_own_mounts(server: Apache, mounts: str) -> Iterator[Process]:
    """An httpd that starts in a mount namespace of its own, after these commands."""
    command = ["unshare", "-m", "sh", "-c", f'{mounts}; exec "$@"', "sh", *server.argv]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            while "resuming normal operations" not in server.log:
                assert process.poll() is None, server.log
            yield process_with(process.pid)
        finally:
            process.terminate()


@pytest.mark.lab
@pytest.mark.parametrize("file", [PROGRAM, "{roots}/apache2.conf"], ids=["binary", "configuration"])
def test_httpd_of_a_container_is_not_run(roots: pathlib.Path, file: str) -> None:
    """A file that matters is another one than the host's of that name."""
    server = Apache(roots, CONFIGURATION)
    file = file.format(roots=roots)
    shutil.copy(file, roots / "copy")
    with with_own_mounts(server, f"mount --bind {roots}/copy {file}") as process:
        with pytest.raises(ConfigurationError, match="container"):
            dump(process)
        (destination,) = ask(server, "b.test", process.pid)
    assert str(destination) == f"{roots}/b/{FILES[0]}"


@pytest.mark.lab
def test_private_tmp_is_no_container(roots: pathlib.Path) -> None:
    """Debian's unit has PrivateTmp=true. The dump reads that /tmp, for the host's /tmp is open to every user."""
    private = roots / "tmp"
    private.mkdir()
    (private / "extra.conf").write_text("LoadModule of_another_user /tmp/x.so\n")
    server = Apache(roots, CONFIGURATION + f"Include {private}/extra.conf\n")
    mounts = f"mount -t tmpfs none {private} && echo Define PRIVATE > {private}/extra.conf"
    with with_own_mounts(server, mounts) as process:
        tree = dump(process)
        (destination,) = ask(server, "b.test", process.pid)
        assert process.view.has_host_file(f"{roots}/b")
        assert not process.view.has_host_file(str(private))
    assert tree.modules
    assert tree.problems == ()
    assert str(destination) == f"{roots}/b/{FILES[0]}"
    assert "not certain" not in trail_of(destination)


@pytest.mark.parametrize(("name", "expected"), [("apache2", True), ("httpd", True), ("busybox", False),
                                                ("nginx", False), ("lighttpd", False)])
def test_recognises(name: str, expected: bool) -> None:
    """The executable's name counts; that of BusyBox's httpd is busybox."""
    process = Process(1, 0, 1, name, ("httpd", "-f"), PathInView(f"/bin/{name}"), PathInView("/"), 0)
    assert ApacheServer().recognises(process) is expected


def test_ended_process_is_unknown() -> None:
    """httpd may stop between the snapshot and the question."""
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    process = Process(gone.pid, 0, 1, "apache2", ("apache2",), PathInView(PROGRAM), PathInView("/"), 0)
    (destination,) = ApacheServer().ask(process, request_for("a.test"))
    assert isinstance(destination, Unknown)


# Bad input.


@pytest.mark.lab
@pytest.mark.parametrize("broken", [
    "Include {dir}/missing.conf", "Include {dir}/fifo", "Include {dir}/loop.conf", "Include {dir}",
    "Include /dev/zero", "Include /proc/kmsg", "<VirtualHost", "</VirtualHost>", "<IfModule mod_rewrite.c>\n", "\\",
    "Use Nothing", "<Macro M>\nUse M\n</Macro>\nUse M", "<Macro M>\nUse M\nUse M\n</Macro>\nUse M\nUse M",
    "DocumentRoot", "ServerName", "ServerName [::", "Alias", "Alias /x", "Redirect", "RewriteRule", "RewriteRule (",
    "ProxyPass /", "ProxyPass / http://[", "<Directory>\n</Directory>", "<Location ~>\n</Location>",
    "<VirtualHost *:99999999999>\n</VirtualHost>", "Listen x", "Define", "${x}${", "<If \"\">\nRequire x\n</If>",
    "Bogus \xff\xfe\x00 \x01", "<A>" * 300, "AliasMatch [ /x", "Require", "\0" * 1000])
def test_broken_configuration_neither_hangs_nor_raises(broken: str, roots: pathlib.Path,
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is the virtual host that is still readable, or a reason."""
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
            assert str(destination) == f"{roots}/b/{FILES[0]}"
        else:
            assert isinstance(destination, (DeadEnd, Unknown))
            assert destination.reason


def test_garbage_is_a_tree_or_an_error() -> None:
    """Random bytes and shuffled configurations give a tree or a ConfigurationError."""
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


def test_truncated_dump_is_a_tree_or_an_error(roots: pathlib.Path) -> None:
    """The output may end anywhere."""
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


@pytest.mark.lab
def test_backtracking_regular_expression_is_unknown(roots: pathlib.Path) -> None:
    """The evaluator gives up and says so."""
    configuration = CONFIGURATION.replace("DocumentRoot {dir}/b", r"RedirectMatch 301 ^(/?[^!]+[^!]*)+!$ http://x.test/")
    with Apache(roots, configuration) as server:
        (destination,) = ask(server, "b.test")
    assert isinstance(destination, Unknown)
    assert "long" in destination.reason


@pytest.mark.lab
def test_condition_on_client_gives_both_destinations(roots: pathlib.Path) -> None:
    """The CA's address is not known: the answer has both destinations, with the condition."""
    configuration = CONFIGURATION.replace("DocumentRoot {dir}/b", "DocumentRoot {dir}/b\nRewriteEngine On\n"
                                          r"RewriteCond %{REMOTE_ADDR} !^10\." "\n"
                                          "RewriteRule ^ https://other.test/ [R,L]")
    with Apache(roots, configuration) as server:
        destinations = ask(server, "b.test")
    assert {type(d) for d in destinations} == {Directory, Redirect}
    assert all("REMOTE_ADDR" in trail_of(d) for d in destinations)


@pytest.mark.lab
def test_redirect_of_existing_file_is_a_dead_end(tmp_path: pathlib.Path) -> None:
    """httpd redirects the request as soon as the file exists, and so never serves it."""
    (tmp_path / "b").mkdir()
    configuration = CONFIGURATION.replace("DocumentRoot {dir}/b", "DocumentRoot {dir}/b\nRewriteEngine On\n"
                                          "RewriteCond %{DOCUMENT_ROOT}%{REQUEST_URI} -f\n"
                                          "RewriteRule ^ https://other.test/ [R,L]")
    with Apache(tmp_path, configuration) as server:
        without = ask_server(request_for("b.test"))
        (destination,) = ask(server, "b.test")
        fill(tmp_path / "b")
        assert [without, ask_server(request_for("b.test"))] == ["none 404", "302 https://other.test/"]
    assert isinstance(destination, DeadEnd)
    assert "as soon as it exists" in destination.reason
    assert "RewriteRule" in str(destination.trail[-1])


@pytest.mark.lab
def test_require_ip_depends_on_client(roots: pathlib.Path) -> None:
    """An allow-list may refuse the probe or the CA; the evaluator knows neither address."""
    configuration = CONFIGURATION + "<Location /.well-known>\nRequire ip 10.0.0.0/8\n</Location>\n"
    with Apache(roots, configuration) as server:
        (destination,) = ask(server, "b.test")
    assert isinstance(destination, Directory)
    assert "Require ip 10.0.0.0/8: depends on the client" in trail_of(destination)


@pytest.mark.lab
@pytest.mark.parametrize("condition", ["%{HTTP_USER_AGENT} letsencrypt", "expr \"%{HTTP:User-Agent} =~ /Encrypt/\"",
                                       "%{HTTP:Accept} =*/*"])
def test_rule_that_refuses_the_ca(condition: str, roots: pathlib.Path) -> None:
    """Its User-Agent is public; the trail names the line."""
    lines = f"RewriteEngine On\nRewriteCond {condition}\nRewriteRule ^ - [F]"
    with Apache(roots, CONFIGURATION.replace("DocumentRoot {dir}/b", f"DocumentRoot {{dir}}/b\n{lines}")) as server:
        (destination,) = ask(server, "b.test")
    assert isinstance(destination, DeadEnd)
    assert "RewriteRule ^ - [F]" in f"{destination.reason} {trail_of(destination)}"


@pytest.mark.lab
@pytest.mark.parametrize("lines, depends", [
    ("RewriteCond %{REMOTE_ADDR} !^10\\.\nRewriteRule ^ - [F]", True),
    ("RewriteCond %{HTTP_USER_AGENT} curl\nRewriteRule ^ - [E=curl:1]", False),
    ("RewriteCond %{HTTP_USER_AGENT} bot|spider\nRewriteRule ^ - [F]", False),
    ("RewriteCond %{HTTP_REFERER} .\nRewriteRule ^ - [F]", False),
    ("RewriteCond %{DOCUMENT_ROOT}/maintenance.html -f\nRewriteRule ^ - [F]", False),
    ("RewriteCond %{DOCUMENT_ROOT}%{REQUEST_URI} !-f\nRewriteCond %{HTTP_USER_AGENT} curl\nRewriteRule ^ - [F]", False),
    ("RemoteIPProxyProtocol On", True)])
def test_depends_on_client(lines: str, depends: bool, roots: pathlib.Path) -> None:
    """A rule may refuse us and admit the CA, and a load balancer sends a PROXY line that we don't send."""
    configuration = CONFIGURATION.replace("DocumentRoot {dir}/b", f"DocumentRoot {{dir}}/b\nRewriteEngine On\n{lines}")
    with Apache(roots, configuration, (*DEFAULT_MODULES, "remoteip")) as server:
        (destination,) = ask(server, "b.test")
    assert isinstance(destination, Directory)
    assert destination.depends_on_client == depends


@pytest.mark.lab
@pytest.mark.parametrize("lines, admits_some", [
    ("RewriteCond %{REMOTE_ADDR} !^10\\.\nRewriteRule ^ - [F]", True),
    ("RewriteCond %{REMOTE_ADDR} ^192\\.0\\.2\\.\nRewriteRule ^ - [F]", False),
    ("<Location />\nRequire ip 203.0.113.0/24\n</Location>", True)])
def test_allow_list(lines: str, admits_some: bool, roots: pathlib.Path) -> None:
    """A CA's address is on no list: a rule that admits certain addresses refuses it, a deny-list does not."""
    configuration = CONFIGURATION.replace("DocumentRoot {dir}/b", f"DocumentRoot {{dir}}/b\nRewriteEngine On\n{lines}")
    with Apache(roots, configuration) as server:
        (destination,) = ask(server, "b.test")
    assert isinstance(destination, Directory)
    step = next((step for step in destination.trail if step.admits_some), None)
    assert (step is not None and step.source is not None) == admits_some


@pytest.mark.lab
def test_status_without_file_chooses_no_dead_end(tmp_path: pathlib.Path) -> None:
    """What answers 404 while there is no file is not among the ends: the line that refuses the file is the reason."""
    (tmp_path / "b").mkdir()
    rules = ("RewriteEngine On\nRewriteCond %{DOCUMENT_ROOT}%{REQUEST_URI} !-f\nRewriteRule ^ - [R=404]\n"
             'RewriteRule "(^|/)\\." - [F]')
    with Apache(tmp_path, CONFIGURATION.replace("DocumentRoot {dir}/b", f"DocumentRoot {{dir}}/b\n{rules}")) as server:
        without = ask_server(request_for("b.test"))
        (destination,) = ask(server, "b.test")
        fill(tmp_path / "b")
        assert [without, ask_server(request_for("b.test"))] == ["none 404", "none 403"]
    assert isinstance(destination, DeadEnd)
    assert "[F]" in str(destination.trail[-1])
