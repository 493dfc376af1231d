"""A fresh Debian of its own: README's quick start there word for word, or a command in a clone of the last commit.

    python3 -m tests.packaging.fresh_debian trixie
    python3 -m tests.packaging.fresh_debian trixie make demo

As root, on Debian. The base system, as small as Debian has it, is made once, with mmdebstrap, and kept in ``build/``.
"""
import argparse
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Sequence

TOP = Path(__file__).parents[2]
#: Where a clone lies in the fresh system.
_CLONE = "root/certbot-autowebroot"
#: What someone has before the first command of ours.
_PACKAGES = "ca-certificates,git,make,python3"
#: How this machine reaches Debian's mirror and PyPI.
_NETWORK = ("etc/resolv.conf", "etc/pip.conf", "usr/local/share/ca-certificates")
_ENVIRONMENT = {"HOME": "/root", "LANG": "C.UTF-8", "TERM": "dumb",
                "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
#: A whole machine but for its network. A chroot alone may make no user namespace (unshare(2)), which tests do.
_ENTER = """
mount --bind "$0" "$0"
mount -t proc proc "$0/proc"
mount --rbind /dev "$0/dev"
mount --rbind /sys "$0/sys"
mount -t tmpfs tmpfs "$0/run"
cd "$0"
pivot_root . mnt
umount --lazy /mnt
cd /"$1"
shift
exec "$@"
"""
#: What README expects, and its quick start.
_QUICK_START = """
printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
apt-get -qq install --no-install-recommends -y nginx pebble openssl iproute2 python3-venv > /dev/null
python3 -m venv /opt/certbot
/opt/certbot/bin/pip install --quiet certbot
exec /opt/certbot/bin/python -m tests.lab.quick_start
"""


def base_system(suite: str) -> Path:
    """The base system of a suite, as a tar file."""
    path = TOP / "build" / "debian" / f"{suite}.tar"
    if not path.exists():
        if shutil.which("mmdebstrap") is None:
            subprocess.run(["apt-get", "-qq", "install", "-y", "mmdebstrap"], check=True, stdout=subprocess.DEVNULL)
        print(f"== making {path.relative_to(TOP)}", flush=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        making = path.with_suffix(".making.tar")
        subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", f"--include={_PACKAGES}", suite, str(making),
                        mirror()], check=True)
        making.rename(path)
    return path


def mirror() -> str:
    """The address that this machine has Debian's packages from; another system's is Debian's own."""
    targets = subprocess.run(["apt-get", "indextargets", "--format", "$(SITE) $(COMPONENT)",
                              "Created-By: Packages", "Origin: Debian"], capture_output=True, text=True).stdout
    addresses = [line.split()[0] for line in targets.splitlines() if line.endswith(" main")]
    return os.environ.get("DEBIAN_MIRROR") or next(iter(addresses), "http://deb.debian.org/debian")


def run(suite: str, command: Sequence[str]) -> int:
    """Run a command in a clone in a fresh system; returns its exit status."""
    with tempfile.TemporaryDirectory(prefix="autowebroot-debian.", dir="/var/tmp") as directory:
        root = Path(directory) / "root"
        root.mkdir()
        # The devices are this machine's.
        subprocess.run(["tar", "--extract", "--file", base_system(suite), "--directory", root, "--exclude=./dev/*"],
                       check=True)
        for path in _NETWORK:
            if os.path.isdir(f"/{path}"):
                shutil.copytree(f"/{path}", root / path, dirs_exist_ok=True)
            elif os.path.exists(f"/{path}"):
                shutil.copyfile(f"/{path}", root / path)
        subprocess.run(["git", "clone", "--quiet", TOP, root / _CLONE], check=True)
        _enter(root, ["sh", "-e", "-c", "update-ca-certificates > /dev/null 2>&1; apt-get -qq update"])
        return _enter(root, command)


def _enter(root: Path, command: Sequence[str]) -> int:
    return subprocess.run(["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-e", "-c", _ENTER, root,
                           _CLONE, *command], env=_ENVIRONMENT, stdin=subprocess.DEVNULL).returncode


def main() -> int:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.packaging.fresh_debian")
    parser.add_argument("suite", help="bookworm, trixie ...")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="README's quick start without it")
    arguments = parser.parse_args()
    return run(arguments.suite, arguments.command or ["sh", "-e", "-c", _QUICK_START])


if __name__ == "__main__":
    raise SystemExit(main())
