"""The owner of a document root swaps links into it as fast as possible, while root publishes and withdraws.

Run it with ``python -m tests.security.race --runs 2000``.

An escape is any change in a tree of root to which all the links lead: a file made, removed, written, or given another
owner or mode, even for a moment (the kernel records each in the ctime). The same attackers run against Certbot's own
webroot, and catch it: so a zero means something.
"""
import argparse
import contextlib
import ctypes
import logging
import mmap
import os
import signal
import sys
import time
from argparse import Namespace
from dataclasses import dataclass
from typing import Callable
from typing import Dict
from typing import Iterator
from typing import List
from typing import Tuple

from certbot_autowebroot.responders import PublishError
from certbot_autowebroot.responders.journal import Journal
from tests.lab import children
from tests.lab import net
from tests.lab.hostile_site import CONTENT
from tests.lab.hostile_site import DIRECTORY
from tests.lab.hostile_site import OWNER
from tests.lab.hostile_site import TOKEN
from tests.lab.hostile_site import Site
from tests.lab.hostile_site import new_site

_OURS, _SWEPT, _CERTBOTS = "certbot-autowebroot", "certbot-autowebroot, killed and swept", "Certbot's webroot"

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2

#: One round of an attack. It is called in a loop, in the attacker's own process.
Attack = Callable[[], None]


def _exchange(one: str, other: str) -> Attack:
    """Swap two names by one system call."""
    renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    first, second = one.encode(), other.encode()

    def attack() -> None:
        renameat2(_AT_FDCWD, first, _AT_FDCWD, second, _RENAME_EXCHANGE)

    return attack


def _jump_in(path: str, target: str) -> Attack:
    """Wait for a directory to be made, move it away, and put a link in its place for a moment."""
    away = f"{os.path.dirname(path)}/away"
    number = 0

    def attack() -> None:
        nonlocal number
        try:
            os.rename(path, f"{away}{number}")
        except OSError:
            return
        with contextlib.suppress(OSError):
            os.symlink(target, path)
        number += 1
        for _ in range(number * 7 % 300):  # sometimes shorter, sometimes longer
            os.getpid()
        with contextlib.suppress(OSError):
            os.unlink(path)

    return attack


def _take_turns(path: str, link: str) -> Attack:
    """Put a link where a file is to be made, and remove whatever is there."""
    def attack() -> None:
        with contextlib.suppress(OSError):
            os.link(link, path, follow_symlinks=False)
        with contextlib.suppress(OSError):
            os.unlink(path)

    return attack


def _make_directories(site: Site) -> None:
    for name in ("home/www/.well-known", f"home/www/{DIRECTORY}"):
        site.make(name)


def exchange_root(site: Site) -> Attack:
    """The document root and a link."""
    _make_directories(site)
    site.link("home/trap", site.path("victim"), OWNER)
    return _exchange(site.path("home/www"), site.path("home/trap"))


def exchange_well_known(site: Site) -> Attack:
    """``.well-known`` and a link."""
    _make_directories(site)
    site.link("home/www/trap", site.path("victim/.well-known"), OWNER)
    return _exchange(site.path("home/www/.well-known"), site.path("home/www/trap"))


def exchange_acme_challenge(site: Site) -> Attack:
    """``acme-challenge`` and a link."""
    _make_directories(site)
    site.link("home/www/.well-known/trap", site.path(f"victim/{DIRECTORY}"), OWNER)
    return _exchange(site.path(f"home/www/{DIRECTORY}"), site.path("home/www/.well-known/trap"))


def jump_in_at_well_known(site: Site) -> Attack:
    """A link in the place of the new ``.well-known``."""
    return _jump_in(site.path("home/www/.well-known"), site.path("victim"))


def jump_in_at_acme_challenge(site: Site) -> Attack:
    """A link in the place of the new ``acme-challenge``."""
    site.make("home/www/.well-known")
    return _jump_in(site.path(f"home/www/{DIRECTORY}"), site.path("victim"))


def jump_in_where_root_writes(site: Site) -> Attack:
    """The same in a directory of root that every user may write."""
    os.chown(site.path("home/www"), 0, 0)
    os.chmod(site.path("home/www"), 0o777)
    return _jump_in(site.path("home/www/.well-known"), site.path("victim"))


def catch_before_it_has_its_name(site: Site) -> Attack:
    """A link in the place of a draft directory, before it is renamed to ``.well-known``."""
    root, victim = site.path("home/www"), site.path("victim")
    number = 0

    def attack() -> None:
        nonlocal number
        for name in os.listdir(root):
            number += 1
            with contextlib.suppress(OSError):
                if name == ".well-known":
                    os.unlink(f"{root}/{name}")  # where it is our link that was given the name
                else:
                    os.rename(f"{root}/{name}", site.path(f"home/away{number}"))
                    os.symlink(victim, f"{root}/{name}")

    return attack


def link_for_file(site: Site) -> Attack:
    """A link in the place of the file."""
    _make_directories(site)
    link = site.link("home/trap", site.path("victim/secret"), OWNER)
    return _take_turns(site.path(f"home/www/{DIRECTORY}/{TOKEN}"), link)


ATTACKS: List[Callable[[Site], Attack]] = [
    exchange_root, exchange_well_known, exchange_acme_challenge, jump_in_at_well_known, jump_in_at_acme_challenge,
    jump_in_where_root_writes, catch_before_it_has_its_name, link_for_file]


@dataclass
class Raced:
    """The result of the runs against one attack."""

    runs: int = 0
    published: int = 0
    escapes: int = 0
    rounds: int = 0

    def __str__(self) -> str:
        return f"{self.runs:>6} runs {self.published:>6} published {self.rounds:>9} rounds {self.escapes:>6} escapes"


def with_us(site: Site) -> bool:
    """Publish and withdraw; whether the first succeeded."""
    responder = site.responder(root=site.path("home/www"))
    try:
        responder.publish(CONTENT)
        return True
    except PublishError:
        return False
    finally:
        responder.withdraw()


def with_a_sweep(site: Site) -> bool:
    """Publish, be killed, and have the next run remove what is left; whether the first succeeded."""
    def act() -> None:
        site.responder(root=site.path("home/www")).publish(CONTENT)
        os.kill(os.getpid(), signal.SIGKILL)

    def quiet() -> None:
        with contextlib.suppress(PublishError):
            act()

    _, status = os.waitpid(children.start(quiet), 0)
    Journal(site.journal_directory).sweep()
    return os.WIFSIGNALED(status)


class _Challenge:
    """As much of Certbot's annotated challenge as its webroot needs."""

    identifier = Namespace(value="www.sample.com")
    domain = "www.sample.com"
    chall = Namespace(encode=lambda name: TOKEN)

    def response_and_validation(self) -> Tuple[None, str]:
        return None, CONTENT.decode()


def with_certbots_webroot(site: Site) -> bool:
    """The same with Certbot's own webroot."""
    from certbot import errors
    from certbot._internal.plugins.webroot import Authenticator
    config = Namespace(webroot_map={"www.sample.com": site.path("home/www")}, webroot_path=[])
    authenticator = Authenticator(config, "webroot")
    authenticator.prepare()
    challenges = [_Challenge()]
    try:
        authenticator.perform(challenges)
        return True
    except (OSError, errors.PluginError):
        return False
    finally:
        with contextlib.suppress(OSError, KeyError):
            authenticator.cleanup(challenges)


def race(attack: Callable[[Site], Attack], runs: int, act: Callable[[Site], bool]) -> Raced:
    """Run ``act`` so many times against one attack."""
    raced = Raced()
    with new_site() as site:
        _prepare(site)
        with _attacker(attack(site)) as rounds:
            untouched = _victim(site)
            for _ in range(runs):
                raced.runs += 1
                raced.published += act(site)
                if _victim(site) != untouched:
                    raced.escapes += 1
                    _restore(site)
                    untouched = _victim(site)
            raced.rounds = rounds()
    return raced


def _prepare(site: Site) -> None:
    for name in ("victim", "victim/.well-known", f"victim/{DIRECTORY}", "victim/acme-challenge"):
        site.make(name, 0)
    site.write("victim/secret", b"nobody's business", 0)
    site.write(f"victim/{DIRECTORY}/another", b"something of root's", 0)
    site.make("home")
    site.make("home/www")


def _victim(site: Site) -> Dict[str, Tuple[int, ...]]:
    status_by_path = {}
    for directory, _, files in os.walk(site.path("victim")):
        for path in (directory, *(os.path.join(directory, name) for name in files)):
            status = os.lstat(path)
            status_by_path[path] = status.st_ctime_ns, status.st_mtime_ns, status.st_mode, status.st_uid, status.st_gid
    return status_by_path


def _restore(site: Site) -> None:
    for directory, _, files in os.walk(site.path("victim")):
        os.chown(directory, 0, 0)
        os.chmod(directory, 0o755)
        if TOKEN in files:
            os.unlink(os.path.join(directory, TOKEN))
    for name in (DIRECTORY, "acme-challenge"):
        os.makedirs(site.path(f"victim/{name}"), exist_ok=True)


@contextlib.contextmanager
def _attacker(attack: Attack) -> Iterator[Callable[[], int]]:
    """Attack in a loop, as an unprivileged user, in another process; yields the count of rounds."""
    rounds = ctypes.c_uint64.from_buffer(mmap.mmap(-1, 8))

    def loop() -> None:
        os.setgroups([])
        os.setresgid(OWNER, OWNER, OWNER)
        os.setresuid(OWNER, OWNER, OWNER)
        while True:
            attack()
            rounds.value += 1

    child = children.start(loop)
    try:
        while not rounds.value:
            time.sleep(0.001)
        yield lambda: rounds.value
    finally:
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if os.WTERMSIG(status) != signal.SIGKILL:
            raise AssertionError("the attacker has given up")


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000, help="in all, with us; a quarter of it where we are killed "
                        "and the next run sweeps; a tenth of it with Certbot's webroot")
    runs = parser.parse_args().runs
    net.enter_private_namespace()
    logging.basicConfig(level=logging.CRITICAL)
    escapes = {}
    for name, act, share in ((_OURS, with_us, 1), (_SWEPT, with_a_sweep, 4), (_CERTBOTS, with_certbots_webroot, 10)):
        print(f"{name}:")
        escapes[name] = 0
        for attack in ATTACKS:
            raced = race(attack, -(-runs // len(ATTACKS) // share), act)
            escapes[name] += raced.escapes
            print(f"  {attack.__name__:<28}{raced}", flush=True)
        print(f"  {escapes[name]} escapes")
    return 1 if escapes[_OURS] or escapes[_SWEPT] or not escapes[_CERTBOTS] else 0


if __name__ == "__main__":
    sys.exit(main())
