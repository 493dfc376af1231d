"""Servers in containers: other mounts and another network, reached by a forward, read and written in their view."""
import json
import os
import subprocess
from pathlib import Path

import pytest

from certbot_autowebroot.order import messages
from certbot_autowebroot.routing.ca_verdict import Verdict
from tests.lab import forwarders
from tests.lab.container import ADDRESS
from tests.lab.container import Container
from tests.lab.container_nginx import CONFIG
from tests.lab.container_nginx import INDEX
from tests.lab.container_nginx import NGINX
from tests.lab.container_nginx import files
from tests.lab.container_nginx import forwarded
from tests.lab.container_nginx import wait_for_answer
from tests.lab.net import PUBLIC_V4
from tests.lab.nginx import Nginx
from tests.lab.orders import CONTENT
from tests.lab.orders import NAME
from tests.lab.orders import TOKEN
from tests.lab.orders import ask
from tests.lab.orders import names
from tests.lab.orders import place
from tests.lab.orders import programs_of
from tests.lab.orders import solved

__all__ = ["forwarded", "names", "place"]  # fixtures

pytestmark = pytest.mark.lab


def test_kernel_forward_into_a_container(place: Path, forwarded: None) -> None:
    """No program listens on port 80 here, bind() would work, and yet the container answers."""
    with Container(place / "box", NGINX, files()) as box:
        wait_for_answer()
        with solved(place) as solver:
            assert solver.outcomes[NAME].verdict is Verdict.PROVEN, messages.failure(solver.outcomes[NAME])
            assert ask() == CONTENT
            assert programs_of(solver) == ["a port forward of the kernel (nft, iptables)", "nginx"]
            # In the container, not in the directory of the same name here.
            token = f"srv/inside/.well-known/acme-challenge/{TOKEN[:-2]}00"
            assert Path(f"/proc/{box.pid}/root/{token}").read_bytes() == CONTENT
            assert not Path("/srv/inside").exists()
        assert os.listdir(f"/proc/{box.pid}/root/srv/inside") == ["index.html"]


def test_kernel_forward_to_another_port(place: Path) -> None:
    """No program listens on port 80."""
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


def test_directory_in_a_container_is_not_remembered(place: Path, forwarded: None) -> None:
    """Its path is another directory in the host's view."""
    with Container(place / "box", NGINX, files()):
        wait_for_answer()
        with solved(place) as solver:
            assert solver.proven_directories() == {}


def test_dockers_userland_proxy(place: Path) -> None:
    """A program of that name holds the port; its arguments name the target."""
    with Container(place / "box", NGINX, files()):
        wait_for_answer()
        with forwarders.docker_proxy(place / "bin", ADDRESS), solved(place) as solver:
            assert solver.outcomes[NAME].verdict is Verdict.PROVEN, messages.failure(solver.outcomes[NAME])
            assert programs_of(solver) == ["docker-proxy", "nginx"]


def test_proxy_on_the_host_in_front_of_a_container(place: Path) -> None:
    """The usual nginx in front of a container's published or bridge address."""
    with Container(place / "box", NGINX, files()):
        wait_for_answer()
        config = f"server {{ listen 80; location / {{ proxy_pass http://{ADDRESS}:80; }} }}"
        with Nginx(place / "front", config), solved(place) as solver:
            assert solver.outcomes[NAME].verdict is Verdict.PROVEN, messages.failure(solver.outcomes[NAME])
            assert programs_of(solver) == ["nginx", "nginx"]


@pytest.mark.parametrize("name_server", [False, True], ids=["in its /etc/hosts", "by a name server of its own"])
def test_name_that_only_the_container_resolves(place: Path, forwarded: None, name_server: bool) -> None:
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
        wait_for_answer()
        with solved(place) as solver:
            assert solver.outcomes[NAME].verdict is Verdict.PROVEN, messages.failure(solver.outcomes[NAME])
            assert programs_of(solver) == ["a port forward of the kernel (nft, iptables)", "nginx", "nginx"]


def test_read_only_volume_is_written_on_the_host(place: Path, forwarded: None) -> None:
    """docker run -v /srv/www:/srv/inside:ro."""
    volume = place / "volume"
    volume.mkdir()
    with Container(place / "box", NGINX, {"/etc/inside.conf": files()["/etc/inside.conf"]},
                   volumes={"/srv/inside": volume}, read_only=["/srv/inside"]):
        wait_for_answer()
        with solved(place) as solver:
            assert solver.outcomes[NAME].verdict is Verdict.PROVEN, messages.failure(solver.outcomes[NAME])
            assert (volume / ".well-known/acme-challenge" / (TOKEN[:-2] + "00")).read_bytes() == CONTENT


def test_absolute_link_stays_in_the_container(place: Path, forwarded: None) -> None:
    """By path, /proc/PID/root/srv/current with current -> /srv/inside would lead into the host's /srv."""
    command = f"sh -c 'ln -s /srv/inside /srv/current; exec {NGINX}'"
    with Container(place / "box", command, files("/srv/current")) as box:
        wait_for_answer()
        with solved(place) as solver:
            assert solver.outcomes[NAME].verdict is Verdict.PROVEN, messages.failure(solver.outcomes[NAME])
            assert os.path.exists(f"/proc/{box.pid}/root/srv/inside/.well-known")
            assert not Path("/srv/inside").exists()


def test_climbing_link_stays_in_the_container(place: Path, forwarded: None) -> None:
    """../../.. ends at the container's root, and /proc/1/root there is a link like any other."""
    outside = place / "outside"
    outside.mkdir()
    command = f"sh -c 'ln -s ../../../../../../..{outside} /srv/current; exec {NGINX}'"
    with Container(place / "box", command, files("/srv/current")):
        wait_for_answer()
        with solved(place) as solver:
            assert solver.unanswered == [NAME]
    assert list(outside.iterdir()) == []


def test_a_route_through_a_container_is_plain_data(place: Path, forwarded: None) -> None:
    """It can be printed as JSON."""
    import dataclasses
    with Container(place / "box", NGINX, files()):
        wait_for_answer()
        with solved(place) as solver:
            routes = [route for routes_of_endpoint in solver.outcomes[NAME].routes.values()
                      for route in routes_of_endpoint]
            assert "/srv/inside" in json.dumps(routes, default=dataclasses.asdict)
