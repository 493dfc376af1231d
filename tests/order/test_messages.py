"""The sentences of an order, with real servers."""
from pathlib import Path

import pytest

from certbot_autowebroot.order import messages
from tests.lab.nginx import Nginx
from tests.lab.orders import NAME
from tests.lab.orders import solved

pytestmark = pytest.mark.lab


def test_many_rules_of_one_kind_are_one_entry(tmp_path: Path) -> None:
    """Twenty rules on a header that no CA sends, over two hops: each hop names the first line, and how many more."""
    rules = "\n".join(f"if ($http_accept_language ~ l{number}) {{ return 410; }}" for number in range(20))
    config = (f"server {{ listen 80; server_name {NAME};\n{rules}\n"
              f"location / {{ return 301 http://w.{NAME}$uri; }} }}\n"
              f"server {{ listen 80; server_name w.{NAME};\n{rules}\nlocation / {{ return 404; }} }}")
    with Nginx(tmp_path / "nginx", config), solved(tmp_path) as solver:
        text = messages.failure(solver.outcomes[NAME])
    assert text.count("and 19 more like it") == 2
    assert text.count("unknown here, assumed false") == 2
    assert len(text) < 6000
