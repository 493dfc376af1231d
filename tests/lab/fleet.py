"""Three machines that serve the same names; the third is down, and nothing answers at its address."""
import contextlib
from pathlib import Path
from typing import Any
from typing import Callable
from typing import Iterator
from typing import List
from typing import Tuple

from tests.lab.networks import Network
from tests.lab.ports import fetch
from tests.lab.programs import plant

ADDRESSES = ("10.77.0.1", "10.77.0.2", "10.77.0.3")
NAME = "www.sample.com"
CHALLENGES = "/.well-known/acme-challenge/"


class Fleet:
    """The two machines that run; use it as a context manager.

    :ivar directories: the machines' shared directories.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self.directories = [place / f"machine{number}" / "shared" for number in (1, 2)]
        for directory in self.directories:
            directory.mkdir(parents=True)
        self._machines: List[Network] = []
        self._open = contextlib.ExitStack()

    def __enter__(self) -> "Fleet":
        self._switch = self._open.enter_context(Network())
        self._switch.ip("link add lan type bridge", "link set lan up", "addr add 10.77.0.254/24 dev lan")
        for number, address in enumerate(ADDRESSES[:2]):
            machine = self._open.enter_context(Network())
            machine.connect("eth0", self._switch, f"port{number}")
            self._switch.ip(f"link set port{number} master lan")
            machine.ip(f"addr add {address}/24 dev eth0")
            self._machines.append(machine)
        return self

    def __exit__(self, *exc: object) -> None:
        self._open.close()

    def run(self, machine: int, make: Callable[[Path], Any]) -> Any:
        """Run a program on a machine until the end; ``make`` gets an empty directory for it."""
        place = self.place / f"machine{machine + 1}" / f"program{len(list(self.place.glob('machine*/program*')))}"
        place.mkdir()
        with self._machines[machine].entered():
            return self._open.enter_context(make(place))

    def publish(self, machine: int, token: str) -> bytes:
        """Put a challenge file into the shared directory of a machine; returns its content."""
        plant(token, self.directories[machine])
        return str(self.directories[machine] / (CHALLENGES + token).lstrip("/")).encode()

    def get(self, machine: int, token: str) -> Tuple[int, bytes]:
        """The answer of a machine."""
        with self._switch.entered():
            return fetch(ADDRESSES[machine], 80, NAME, CHALLENGES + token, timeout=8)

    def location(self, machine: int, token: str) -> str:
        """The target of a machine's redirect."""
        import http.client
        with self._switch.entered(), contextlib.closing(http.client.HTTPConnection(ADDRESSES[machine])) as connection:
            connection.request("GET", CHALLENGES + token, headers={"Host": NAME})
            response = connection.getresponse()
            assert response.status == 302
            return response.headers["Location"]


@contextlib.contextmanager
def fleet() -> Iterator[Fleet]:
    """A fleet in a directory that every user may enter."""
    from tests.lab.nginx import public_directory
    with public_directory() as place, Fleet(place) as machines:
        yield machines
