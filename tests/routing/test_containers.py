"""Servers in containers: their own mounts and network, reached through a forward, read and written in their view."""
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from typing import Dict
from typing import Iterator
from typing import List

import pytest

from certbot_autowebroot.order import messages
from certbot_autowebroot.order.inquiry import Verdict
from tests.lab import forward
from tests.lab import ports
from tests.lab.container import ADDRESS
from tests.lab.container import Container
from tests.lab.net import PUBLIC_V4
from tests.lab.nginx import Nginx
from tests.lab.orders import CONTENT
from tests.lab.orders import NAME
from tests.lab.orders import TOKEN
from tests.lab.orders import ask
from tests.lab.orders import names
from tests.lab.orders import place
from tests.lab.orders import solved

__all__ = ["names", "place"]  # fixtures

CONFIG = """daemon off; user root; pid /run/nginx.pid; error_log /var/log/error.log; events {{ }}
http {{ access_log off; client_body_temp_path /tmp/a; proxy_temp_path /tmp/b; fastcgi_temp_path /tmp/c;
uwsgi_temp_path /tmp/d; scgi_temp_path /tmp/e; server {{ listen 80; server_name www.sample.com; root {root}; }} }}"""
NGINX = "nginx -c /etc/inside.conf"
INDEX = {"/srv/inside/index.html": "inside"}


def files(root: str = "/srv/inside") -> Dict[str, str]:
    return {"/etc/inside.conf": CONFIG.format(root=root), **INDEX}


@pytest.fixture
def forwarded() -> Iterator[None]:
    """Port 80 of the public address goes into the container, as Docker's rules for the machine itself say."""
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


def ready() -> None:
    for _ in range(500):
        try:
            ports.fetch(ADDRESS, 80, NAME, "/")
            return
        except OSError:
            time.sleep(0.01)
    raise AssertionError("the container does not answer")


def seen_by_all(solver: Any) -> List[str]:
    return [hop.program.name for routes in solver.outcomes[NAME].routes.values() for route in routes
            for hop in route.hops]


def test_a_kernels_forward_into_a_container_is_followed(place: Path, forwarded: None) -> None:
    """Nobody listens on port 80 here, bind() would work, and yet the container answers."""
    with Container(place / "box", NGINX, files()) as box:
        ready()
        with solved(place) as solver:
            assert solver.outcomes[NAME].verdict is Verdict.PROVEN, messages.failure(solver.outcomes[NAME])
            assert ask() == CONTENT
            assert seen_by_all(solver) == ["a port forward of the kernel (nft, iptables)", "nginx"]
            # In the container, not in the directory of the same name here.
            token = f"srv/inside/.well-known/acme-challenge/{TOKEN[:-2]}00"
            assert Path(f"/proc/{box.pid}/root/{token}").read_bytes() == CONTENT
            assert not Path("/srv/inside").exists()
        assert os.listdir(f"/proc/{box.pid}/root/srv/inside") == ["index.html"]


def test_a_kernels_forward_to_another_port_is_followed(place: Path) -> None:
    """Nothing is bound to port 80 at all."""
    (place / "root").mkdir()
    subprocess.run(["nft", "-f", "-"], text=True, check=True, input=f"""
table ip autowebroot {{
    chain output {{
        type nat hook output priority -100
        ip daddr {PUBLIC_V4} tcp dport 80 redirect to 8080
    }}
}}
""")
    try:
        with Nginx(place / "nginx", f"server {{ listen 8080; root {place}/root; }}"), solved(place) as solver:
            assert solver.outcomes[NAME].verdict is Verdict.PROVEN, messages.failure(solver.outcomes[NAME])
            assert ask() == CONTENT
    finally:
        subprocess.run(["nft", "delete", "table", "ip", "autowebroot"], check=True)


def test_the_directory_in_a_container_is_no_hint_for_next_time(place: Path, forwarded: None) -> None:
    """Its path means something else in our view."""
    with Container(place / "box", NGINX, files()):
        ready()
        with solved(place) as solver:
            assert solver.proven_directories() == {}


def test_dockers_userland_proxy_says_where_it_leads(place: Path) -> None:
    """A program of that name and arguments holds the port and passes connections on."""
    with Container(place / "box", NGINX, files()):
        ready()
        # What names the program is its executable: a copy of Python under that name.
        copy = place / "bin" / "docker-proxy"
        copy.parent.mkdir()
        copy.write_bytes(Path(os.path.realpath(sys.executable)).read_bytes())
        copy.chmod(0o755)
        home = str(Path(os.path.realpath(sys.executable)).parent.parent)
        with subprocess.Popen([copy, forward.__file__, "80", f"{ADDRESS}:80", "-container-ip", ADDRESS,
                               "-container-port", "80"],
                              stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONHOME": home}) as running:
            try:
                ports.wait_for_port(PUBLIC_V4, 80, running)
                with solved(place) as solver:
                    assert solver.outcomes[NAME].verdict is Verdict.PROVEN, messages.failure(solver.outcomes[NAME])
                    assert seen_by_all(solver) == ["docker-proxy", "nginx"]
            finally:
                running.kill()


def test_a_proxy_on_the_machine_in_front_of_a_container(place: Path) -> None:
    """The usual nginx in front of a container's published or bridge address."""
    with Container(place / "box", NGINX, files()):
        ready()
        config = f"server {{ listen 80; location / {{ proxy_pass http://{ADDRESS}:80; }} }}"
        with Nginx(place / "front", config), solved(place) as solver:
            assert solver.outcomes[NAME].verdict is Verdict.PROVEN, messages.failure(solver.outcomes[NAME])
            assert seen_by_all(solver) == ["nginx", "nginx"]


@pytest.mark.parametrize("name_server", [False, True], ids=["in its /etc/hosts", "by a name server of its own"])
def test_a_name_that_only_the_container_knows_is_followed(place: Path, forwarded: None, name_server: bool) -> None:
    """docker compose: proxy_pass http://app:3000, where app is another container, or the same one."""
    config = CONFIG.format(root="/nowhere").replace(
        "root /nowhere; }", "location / { proxy_pass http://app.internal:3000; } } "
                            "server { listen 3000; root /srv/inside; }")
    inside = {**INDEX, "/etc/inside.conf": config, "/etc/hosts": "127.0.0.1 localhost\n",
              "/etc/resolv.conf": "nameserver 127.0.0.11\n"}
    command = NGINX
    if name_server:
        start = f"pebble-challtestsrv -dns01 127.0.0.11:53 -http01= -https01= -tlsalpn01= -defaultIPv4 {ADDRESS} " \
            "-defaultIPv6= & while ! getent ahosts app.internal; do sleep 0.05; done"
        command = f"sh -c '{start}; exec {NGINX}'"
    else:
        inside["/etc/hosts"] += f"{ADDRESS} app.internal\n"
    with Container(place / "box", command, inside):
        ready()
        with solved(place) as solver:
            assert solver.outcomes[NAME].verdict is Verdict.PROVEN, messages.failure(solver.outcomes[NAME])
            assert seen_by_all(solver) == ["a port forward of the kernel (nft, iptables)", "nginx", "nginx"]


def test_a_volume_that_is_read_only_in_the_container_is_written_on_the_host(place: Path, forwarded: None) -> None:
    """docker run -v /srv/www:/srv/inside:ro."""
    volume = place / "volume"
    volume.mkdir()
    with Container(place / "box", NGINX, {"/etc/inside.conf": files()["/etc/inside.conf"]},
                   volumes={"/srv/inside": volume}, read_only=["/srv/inside"]):
        ready()
        with solved(place) as solver:
            assert solver.outcomes[NAME].verdict is Verdict.PROVEN, messages.failure(solver.outcomes[NAME])
            assert (volume / ".well-known/acme-challenge" / (TOKEN[:-2] + "00")).read_bytes() == CONTENT


def test_an_absolute_link_in_a_container_stays_in_it(place: Path, forwarded: None) -> None:
    """/proc/PID/root/srv/current with current -> /srv/inside leads into the host's /srv, unless one takes care."""
    command = f"sh -c 'ln -s /srv/inside /srv/current; exec {NGINX}'"
    with Container(place / "box", command, files("/srv/current")) as box:
        ready()
        with solved(place) as solver:
            assert solver.outcomes[NAME].verdict is Verdict.PROVEN, messages.failure(solver.outcomes[NAME])
            assert os.path.exists(f"/proc/{box.pid}/root/srv/inside/.well-known")
            assert not Path("/srv/inside").exists()


def test_a_link_that_wants_out_of_a_container_stays_in_it(place: Path, forwarded: None) -> None:
    """../../.. ends at the container's root, and /proc/1/root there is a link like any other."""
    outside = place / "outside"
    outside.mkdir()
    command = f"sh -c 'ln -s ../../../../../../..{outside} /srv/current; exec {NGINX}'"
    with Container(place / "box", command, files("/srv/current")):
        ready()
        with solved(place) as solver:
            assert solver.unanswered == [NAME]
    assert list(outside.iterdir()) == []


def test_a_route_through_a_container_is_plain_data(place: Path, forwarded: None) -> None:
    """It can be printed as JSON."""
    import dataclasses
    with Container(place / "box", NGINX, files()):
        ready()
        with solved(place) as solver:
            routes = [route for found in solver.outcomes[NAME].routes.values() for route in found]
            assert "/srv/inside" in json.dumps(routes, default=dataclasses.asdict)
