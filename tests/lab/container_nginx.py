"""An nginx in a container, and a port forward to it."""
import subprocess
import time
from typing import Dict
from typing import Iterator

import pytest

from tests.lab import ports
from tests.lab.container import ADDRESS
from tests.lab.net import PUBLIC_V4

CONFIG = """daemon off; user root; pid /run/nginx.pid; error_log /var/log/error.log; events {{ }}
http {{ access_log off; client_body_temp_path /tmp/a; proxy_temp_path /tmp/b; fastcgi_temp_path /tmp/c;
uwsgi_temp_path /tmp/d; scgi_temp_path /tmp/e; server {{ listen 80; server_name www.sample.com; root {root}; }} }}"""
NGINX = "nginx -c /etc/inside.conf"
INDEX = {"/srv/inside/index.html": "inside"}


def files(root: str = "/srv/inside") -> Dict[str, str]:
    """The files of a container whose nginx serves this root."""
    return {"/etc/inside.conf": CONFIG.format(root=root), **INDEX}


@pytest.fixture
def forwarded() -> Iterator[None]:
    """A port forward from port 80 of the public address into the container, as Docker's rule for the host itself."""
    subprocess.run(["nft", "-f", "-"], text=True, check=True, input=f"""
table ip autowebroot {{
    chain output {{
        type nat hook output priority -100
        ip daddr {PUBLIC_V4} tcp dport 80 dnat to {ADDRESS}:80
    }}
}}
""")
    yield
    subprocess.run(["nft", "delete", "table", "ip", "autowebroot"], check=True)


def wait_for_answer() -> None:
    """Until the container's nginx answers."""
    for _ in range(500):
        try:
            ports.fetch(ADDRESS, 80, "www.sample.com", "/")
            return
        except OSError:
            time.sleep(0.01)
    raise AssertionError("the container does not answer")
