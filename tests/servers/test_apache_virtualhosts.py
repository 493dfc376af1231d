"""The look-up of a virtual host's name against httpd's own rule, said in one line: the first that has the name."""
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

ANYWHERE = (Address("", 80, "*"),)


def servers(*names: Tuple[str, ...]) -> List[Server]:
    """Virtual hosts on ``*:80``; of each tuple the first is the ServerName."""
    found = []
    for name, *aliases in names:
        server = Server(None, ())
        server.addresses, server.name, server.aliases = ANYWHERE, name, tuple(aliases)
        found.append(server)
    return found


def test_the_first_in_order_answers_whether_it_names_the_host_or_a_wildcard_does() -> None:
    """Random names and wildcards over a few letters: what a walk through all of them finds, the look-up finds."""
    random = Random(1)  # noqa: S311
    for _ in range(300):
        hosts = servers(*((_word(random, "ab."), *(_word(random, "ab.*?") for _ in range(random.randint(0, 4))))
                          for _ in range(random.randint(1, 8))))
        namesakes = VirtualHosts(hosts).at(Endpoint("203.0.113.10", 80))
        assert namesakes is not None
        for asked in (_word(random, "ab.") for _ in range(20)):
            wanted = next((host for host in hosts if asked.rstrip(".") == host.name or any(
                fnmatch.fnmatchcase(asked.rstrip("."), alias) for alias in host.aliases)), None)
            server, by_name = namesakes.named(asked)
            assert (server is (wanted or hosts[0]), by_name) == (True, wanted is not None), (asked, hosts)


def _word(random: Random, letters: str) -> str:
    return "".join(random.choice(letters) for _ in range(random.randint(1, 5))) + random.choice(letters.strip("."))


def test_a_wildcard_is_only_tried_on_a_name_that_ends_like_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """With 5,000 wildcards, one question tries one of them."""
    tried: List[str] = []
    compiled = virtualhosts._compiled
    monkeypatch.setattr(virtualhosts, "_compiled", lambda alias: (tried.append(alias), compiled(alias))[1])
    table = VirtualHosts(servers(*((f"{number}.test", f"*.{number}.test") for number in range(5000))))
    namesakes = table.at(Endpoint("203.0.113.10", 80))
    assert namesakes is not None
    assert namesakes.named("x.y.4321.test")[0].name == "4321.test"
    assert tried == ["*.4321.test"]
