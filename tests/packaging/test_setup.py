"""What tools/setup.sh installs for each target, and leaves off; what tools/preflight.sh looks for."""
import os
import shutil
import subprocess
from pathlib import Path
from typing import Dict
from typing import List

import pytest

pytestmark = pytest.mark.lab

TOP = Path(__file__).parents[2]
PRIVILEGES = "--bounding-set=-sys_admin --inh-caps=-sys_admin"
#: Programs of a Debian machine; each writes its arguments to the log. apt-get installs what is named; varnish brings a
#: unit, and certbot a timer and a cron job.
STUBS = {
    "apt-get": """case "$*" in
        *--simulate*) for word; do case $word in install) ;; [a-z]*) echo "Inst $word" ;; esac; done ;;
        *download*) for word; do case $word in lib*) touch "$word.deb" ;; esac; done ;;
        *" install "*)
            printf '%s\\n' "$@" | grep '^[a-z]' | grep -vx install >> "$MACHINE/packages"
            wants=$SYSTEM_ROOT/etc/systemd/system
            case "$*" in *varnish*)
                mkdir -p "$wants/multi-user.target.wants" "$wants/timers.target.wants" "$SYSTEM_ROOT/etc/cron.d"
                ln -sf /lib/varnishncsa.service "$wants/multi-user.target.wants/varnishncsa.service"
                ln -sf /lib/remote-fs.target "$wants/multi-user.target.wants/remote-fs.target"
                ln -sf /lib/certbot.timer "$wants/timers.target.wants/certbot.timer"
                touch "$SYSTEM_ROOT/etc/cron.d/certbot"
            esac ;;
    esac""",
    "apt-cache": 'echo "  Depends: libluajit2-5.1-2"',
    "dpkg-deb": "exit 0",
    "dpkg-query": """for last; do :; done
        case "$*" in
        *-L*) echo "/etc/init.d/$last" ;;
        *Status-Status*) grep -qx "$last" "$MACHINE/packages" && echo installed ;;
        *) echo "$last 1.22" ;;
        esac""",
    "update-rc.d": "exit 0",
    "python": """case "$*" in
        *venv*) mkdir -p .venv/bin; cp "$0" .venv/bin/python ;;
    esac""",
}


class Machine:
    """A copy of the scripts, and a machine of stubs."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "bin").mkdir()
        for name, script in STUBS.items():
            path = directory / "bin" / name
            path.write_text(f'#!/bin/sh\necho "{name} $*" >> "$MACHINE/log"\n{script}\n')
            path.chmod(0o755)
        (directory / "packages").write_text("dash\n")
        (directory / "log").touch()
        (directory / "source").mkdir()
        shutil.copytree(TOP / "tools", directory / "source" / "tools")
        shutil.copy(TOP / "setup.py", directory / "source")

    def setup(self, mode: str) -> str:
        """Run the script; returns its output."""
        environment: Dict[str, str] = {
            "PATH": f"{self.directory}/bin:/usr/bin:/bin", "MACHINE": str(self.directory), "PYTHON": "python",
            "POLICY_RC_D": str(self.directory / "policy"), "SYSTEM_ROOT": str(self.directory / "system")}
        done = subprocess.run([self.directory / "source/tools/setup.sh", mode], env=environment, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == 0, done.stdout
        return done.stdout

    @property
    def packages(self) -> List[str]:
        return (self.directory / "packages").read_text().split()[1:]

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_demo_installs_only_its_own_needs(machine: Machine) -> None:
    """No Certbot of Debian and no tool of the tests; the number of packages is printed before."""
    said = machine.setup("demo")
    assert machine.packages == ["nginx", "pebble", "openssl", "iproute2"]
    assert "setup: installing 4 Debian packages: nginx pebble openssl iproute2 and what they need\n" in said
    assert "setup: installing into .venv: certbot and this plugin" in said
    machine.setup("demo")
    assert machine.log.count("pip install") == 1


@pytest.mark.parametrize("mode", ["fast", "build"])
def test_no_debian_package_is_installed(machine: Machine, mode: str) -> None:
    """Builds and fast tests need the virtual environment alone."""
    machine.setup(mode)
    assert machine.packages == [] and "pip install" in machine.log
    assert ("--editable" in machine.log) is (mode == "fast")


def test_what_the_tests_install_stays_off(machine: Machine) -> None:
    """The timer and the cron job of Certbot, and varnishncsa; nginx's modules are unpacked, not installed."""
    system = machine.directory / "system/etc"
    timers = system / "systemd/system/timers.target.wants"
    timers.mkdir(parents=True)
    (timers / "backup.timer").symlink_to("/lib/backup.timer")
    said = machine.setup("test")
    assert "varnish" in machine.packages and "libluajit2-5.1-2" in machine.packages
    assert not [package for package in machine.packages if package.startswith(("libnginx-mod", "lua-"))]
    assert "setup: off, because only the tests need their packages: certbot varnishncsa.service certbot.timer\n" in said
    left = [path.name for path in system.rglob("*") if path.is_symlink() or path.is_file()]
    assert sorted(left) == ["backup.timer", "remote-fs.target"]  # the second comes with systemd itself
    assert "update-rc.d varnish disable\n" in machine.log
    assert not (machine.directory / "policy").exists()


@pytest.mark.parametrize(("privileges", "said"), [
    ("--reuid=65534 --regid=65534 --clear-groups", "make test needs root: "),
    (PRIVILEGES, "make test needs CAP_SYS_ADMIN, ")], ids=["no root", "a default container"])
def test_missing_rights_are_one_sentence(privileges: str, said: str) -> None:
    """Before anything is installed."""
    environment = {**os.environ, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    with open(TOP / "tools" / "preflight.sh") as script:
        done = subprocess.run(["setpriv", *privileges.split(), "sh"], stdin=script, capture_output=True, text=True,
                              env=environment)
    assert done.returncode == 1 and done.stderr.startswith(said) and done.stderr.count("\n") == 1


@pytest.mark.parametrize(("python", "said"), [("python3.11", ""), ("python3.13", "make test leaves out")])
def test_python_of_oldest_certbot(tmp_path: Path, python: str, said: str) -> None:
    """Debian 13 has none: the tests run without that cell."""
    for name in ("id", "unshare", "true", "sh"):
        (tmp_path / name).symlink_to(shutil.which(name) or "")
    (tmp_path / python).write_text("#!/bin/sh\n")
    (tmp_path / python).chmod(0o755)
    done = subprocess.run([TOP / "tools" / "preflight.sh"], capture_output=True, text=True, env={"PATH": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith(said) and bool(done.stderr) is bool(said)
