"""The look-up of a virtual host's name against httpd's rule: the first virtual host with the name answers."""
import fnmatch
from random import Random
from typing import List
from typing import Tuple

import pytest

from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.servers.apache import virtualhosts
from certbot_autowebroot.servers.apache.virtualhosts import Address
from certbot_autowebroot.servers.apache.virtualhosts import Server
from certbot_autowebroot.servers.apache.virtualhosts import VirtualHosts

ANY_ADDRESS = (Address("", 80, "*"),)


def servers(*names: Tuple[str, ...]) -> List[Server]:
    """Virtual hosts on ``*:80``; of each tuple the first is the ServerName."""
    hosts = []
    for name, *aliases in names:
        server = Server(None, ())
        server.addresses, server.name, server.aliases = ANY_ADDRESS, name, tuple(aliases)
        hosts.append(server)
    return hosts


def test_first_matching_virtual_host_answers() -> None:
    """For random names and wildcards over a few letters, the look-up finds the same as a walk through all of them."""
    random = Random(1)  # noqa: S311
    for _ in range(300):
        hosts = servers(*((_word(random, "ab."), *(_word(random, "ab.*?") for _ in range(random.randint(0, 4))))
                          for _ in range(random.randint(1, 8))))
        virtual_hosts = VirtualHosts(hosts).at(Endpoint("203.0.113.10", 80))
        assert virtual_hosts is not None
        for name in (_word(random, "ab.") for _ in range(20)):
            wanted = next((host for host in hosts if name.rstrip(".") == host.name or any(
                fnmatch.fnmatchcase(name.rstrip("."), alias) for alias in host.aliases)), None)
            server, by_name = virtual_hosts.find(name)
            assert (server is (wanted or hosts[0]), by_name) == (True, wanted is not None), (name, hosts)


def _word(random: Random, letters: str) -> str:
    return "".join(random.choice(letters) for _ in range(random.randint(1, 5))) + random.choice(letters.strip("."))


def test_wildcard_is_tried_only_on_names_with_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 5,000 wildcards, a look-up tries one."""
    tried: List[str] = []
    compiled = virtualhosts._compiled
    monkeypatch.setattr(virtualhosts, "_compiled", lambda alias: (tried.append(alias), compiled(alias))[1])
    table = VirtualHosts(servers(*((f"{number}.test", f"*.{number}.test") for number in range(5000))))
    virtual_hosts = table.at(Endpoint("203.0.113.10", 80))
    assert virtual_hosts is not None
    assert virtual_hosts.find("x.y.4321.test")[0].name == "4321.test"
    assert tried == ["*.4321.test"]
