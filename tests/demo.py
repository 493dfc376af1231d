"""``make demo``: the story of the README, with a real Certbot, a real CA of our own, and a real nginx.

As root it happens in a network namespace of its own, on the real port 80. Without root it happens on a high port. Your
own servers and your port 80 are left alone either way.
"""
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.lab import net
from tests.lab.ca import CA
from tests.lab.certbot import Certbot
from tests.lab.nginx import Nginx

NAME = "www.sample.com"


class Demo:
    """Tells the story, step by step, and stops where one does not go as told."""

    def __init__(self, directory: Path, port: int, certbot: Certbot) -> None:
        self._site = directory / "sample"
        self._port = port
        self._certbot = certbot
        self._nginx = Nginx(directory / "nginx", "", user="www-data" if os.geteuid() == 0 else "root")

    def play(self) -> None:
        print("\nIn the commands below, certbot is this function; --force-renewal stands for the weeks between:\n"
              f"  certbot() {{ REQUESTS_CA_BUNDLE={self._certbot.ca.bundle} {self._certbot.program} \"$@\" "
              f"{shlex.join(self._certbot.options)}; }}")
        self._step(f"A certificate for {NAME} is issued, as years ago: nothing listens on port {self._port}",
                   "certonly", "--standalone", "-d", NAME)
        self._release(1)
        self._serve_from(self._site / "current" / "public")
        self._step("Then nginx came. At night, the renewal:", "renew", fails=True)
        try:
            self._step("The same with this plugin:", "renew", "-a", "autowebroot")
            self._release(2)
            self._step("A new release, `current` points elsewhere:", "renew")
            self._nginx.stop()
            self._step("nginx is stopped:", "renew")
            moved = self._site / "moved"
            moved.mkdir()
            self._serve_from(moved)
            self._step(f"nginx is back, with its root moved to {moved.name}/ in its configuration:", "renew")
        finally:
            self._nginx.stop()
        left = list(self._site.rglob(".well-known"))
        print(f"\n{self._certbot.certificates(NAME)} certificates, the renewal configuration says authenticator = "
              f"{self._certbot.renewal_setting(NAME, 'authenticator')}, "
              f"{len(left)} files left behind, nginx never reloaded.")

    def _step(self, title: str, *arguments: str, fails: bool = False) -> None:
        arguments += ("--force-renewal",) if arguments[0] == "renew" else ()
        arguments += ("--http-01-port", str(self._port)) if self._port != 80 else ()
        command = self._certbot.command(*arguments)
        print(f"\n{title}\n  $ certbot {shlex.join(command[1:-len(self._certbot.options)])}")
        done = self._certbot.run(*arguments)
        said = " ".join(done.stdout.split())
        if (done.returncode != 0) is not fails:
            sys.exit(f"This is not how the story goes:\n{done.stdout}")
        if fails:
            print("  failed: " + said[said.index("Could not bind"):].partition(".")[0])
            return
        how = [line for line in done.stdout.splitlines() if ": answered " in line]
        print("  " + ("renewed" if arguments[0] == "renew" else "issued"), *how, sep="\n    ")

    def _release(self, number: int) -> None:
        (self._site / "releases" / str(number) / "public").mkdir(parents=True)
        current = self._site / "current"
        current.unlink(missing_ok=True)
        current.symlink_to(f"releases/{number}")

    def _serve_from(self, root: Path) -> None:
        self._nginx.configure(f"server {{ listen {self._port}; server_name {NAME}; root {root}; }}")
        self._nginx.start()


def main() -> None:
    """Set the scene and play."""
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    needed = ("nginx", "pebble", "pebble-challtestsrv", "openssl")
    missing = [program for program in needed if not shutil.which(program)]
    if missing:
        sys.exit(f"The demo needs {', '.join(missing)}: Debian's packages nginx, pebble and openssl.")
    port, ca_options = 80, {}
    try:
        net.enter_private_namespace()
        print("This happens in a network namespace of its own: your servers and your port 80 are left alone.")
    except (PermissionError, subprocess.CalledProcessError):
        port, ca_options = 5080, {"http_port": 5080, "dns_port": 5053, "address": "127.0.0.1"}
        print(f"No root here, so this happens on port {port} instead of port 80 (--http-01-port {port}).")
    directory = Path(tempfile.mkdtemp(prefix="autowebroot-demo-"))
    directory.chmod(0o755)
    try:
        with CA(directory / "ca", **ca_options) as ca:
            Demo(directory, port, Certbot(directory / "certbot", ca)).play()
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
