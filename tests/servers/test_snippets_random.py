"""The lines for one site, in front of random server blocks, asked of a real nginx."""
import typing
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.servers.nginx import snippet
from tests.lab import ports
from tests.lab.nginx import Nginx
from tests.lab.random import nginx_random
from tests.lab.random.nginx_generator import ADDRESSES
from tests.lab.random.nginx_generator import ASKED_NAMES
from tests.lab.random.nginx_generator import Generator
from tests.lab.shared_directory import shared_directory

_TOP = """map_hash_bucket_size 256;
variables_hash_bucket_size 128;
{maps}
server {{ listen 127.0.0.1:99; set $sub ''; set $file ''; }}
include sites/*.conf;
"""


@pytest.mark.lab
def test_snippet_before_random_directives(tmp_path: Path) -> None:
    """Returns, rewrites, conditions, access rules, and locations of every kind: 300 requests."""
    counts: typing.Counter[str] = Counter()
    missed = []
    with shared_directory() as directory:
        challenges = Path(directory + CHALLENGE_PATH)
        challenges.mkdir(parents=True)
        (challenges / "token").write_text("the file")
        lines = "\n".join(snippet.lines(directory))
        for seed in range(10):
            generator, random = Generator(seed), Random(seed)  # noqa: S311
            nginx = Nginx(tmp_path / f"batch{seed}", _TOP.format(maps=generator.maps()))
            nginx.write("snippets/acme.conf", "location ^~ /.well-known/acme-chall { return 404; }")
            for number in range(nginx_random.SITES_PER_BATCH):
                site = generator.server().replace("server {\n", f"server {{\n{lines}\n", 1)
                nginx.write(f"sites/{number}.conf", site)
            nginx_random.start(nginx, counts)  # without those that have the location already
            try:
                for _ in range(30):
                    address, host = random.choice(ADDRESSES), random.choice(ASKED_NAMES)
                    answer = ports.fetch(address, 80, host, CHALLENGE_PATH + "token")
                    if answer != (200, b"the file"):
                        missed.append((seed, address, host, answer))
            finally:
                nginx.stop()
    assert missed == []
    assert counts["refused"] < 30
