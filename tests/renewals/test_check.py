"""What a check of many lineages shares among them."""
from pathlib import Path
from typing import Any
from typing import Dict
from typing import List
from typing import Sequence

import pytest

from certbot_autowebroot.renewals.check import Check
from certbot_autowebroot.renewals.check import Options
from certbot_autowebroot.renewals.lineages import lineages
from certbot_autowebroot.responders.journal import Journal
from certbot_autowebroot.system import dns
from tests.lab.lineages import make_lineage
from tests.lab.nginx import Nginx
from tests.lab.orders import NAME


@pytest.mark.lab
@pytest.mark.parametrize("kind", ["autowebroot", "standalone", "webroot"])
def test_each_name_is_looked_up_once(place: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """For its webroot, for its route and for its certificate."""
    asked: List[str] = []
    resolve = dns.resolve

    def noted(names: Sequence[str], *rest: Any) -> Dict[str, Any]:
        asked.extend(names)
        return resolve(names, *rest)
    monkeypatch.setattr(dns, "resolve", noted)
    map_of_webroot = f"[[webroot_map]]\n{NAME} = {place}/gone\n" if kind == "webroot" else ""
    make_lineage(place / "config", f"authenticator = {kind}\n{map_of_webroot}")
    with Nginx(place / "nginx", f"server {{ listen 80; root {place}; }}"):
        found, = Check(Options(), Journal(str(place / "journal"))).lineages(lineages(str(place / "config")))
    assert found.names and asked == [NAME]
