"""An answer on the wire behind a CDN: what its edge asks this machine decides, and it shows before the CA is asked."""
import pytest

from tests.lab.edge import edge
from tests.lab.outside import EDGE_V4
from tests.lab.outside import OWN_V4
from tests.lab.outside_orders import NAME
from tests.lab.outside_orders import Orders

pytestmark = pytest.mark.lab

ORDER = ("certonly", "-a", "autowebroot", "-d", NAME, "--autowebroot-fallback", "wire")
APPLICATION = "location / { return 404; }"
AS_BEFORE = f"{EDGE_V4}:80, where the CA comes in, answers as before"


def test_edge_that_comes_by_http_is_answered(orders: Orders) -> None:
    """Though it redirects to TLS first: what follows comes to port 80 of this machine."""
    with orders.outside.machine(OWN_V4), orders.nginx(f"listen 80; {APPLICATION}"), \
            orders.outside.running(edge(orders.place / "edge", NAME, OWN_V4, https_only=True)):
        orders.outside.resolve(NAME, EDGE_V4)
        orders.issue("--autowebroot-fallback", "wire", "--autowebroot-unproven", "refuse")


@pytest.mark.parametrize(("mode", "redirects", "sentence"), [
    ("full", True, f"{EDGE_V4}:80, where the CA comes in, redirects it to TLS"),
    ("tls", False, AS_BEFORE),
    ("h2c", False, AS_BEFORE),
], ids=["by TLS after a redirect", "by TLS", "by HTTP/2"])
def test_edge_that_never_comes_by_http_is_an_obstacle(orders: Orders, mode: str, redirects: bool,
                                                      sentence: str) -> None:
    """The error says so, and the CA is not asked."""
    with orders.outside.machine(OWN_V4), \
            orders.nginx(f"listen 80{' http2' if mode == 'h2c' else ''}; {APPLICATION}",
                         f"listen 443 ssl; {{tls}} {APPLICATION}"), \
            orders.outside.running(edge(orders.place / "edge", NAME, OWN_V4, mode, https_only=redirects)):
        orders.outside.resolve(NAME, EDGE_V4)
        orders.refuse(sentence, command=ORDER)
