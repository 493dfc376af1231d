"""The shared directory: tried without an option, made by the administrator only."""
from pathlib import Path
from typing import Iterator
from typing import List

import pytest

from certbot_autowebroot import settings
from certbot_autowebroot.order import messages
from certbot_autowebroot.order.hints import Hint
from certbot_autowebroot.order.hints import given
from certbot_autowebroot.routing.ca_verdict import Verdict
from certbot_autowebroot.settings import absolute_paths
from tests.lab.nginx import MODULES
from tests.lab.nginx import Nginx
from tests.lab.orders import CONTENT
from tests.lab.orders import NAME
from tests.lab.orders import ask
from tests.lab.orders import make
from tests.lab.orders import names
from tests.lab.orders import place
from tests.lab.orders import solved
from tests.lab.shared_directory import empty_www
from tests.lab.shared_directory import shared_directory

pytestmark = pytest.mark.lab

__all__ = ["names", "place"]  # fixtures


@pytest.fixture(autouse=True)
def www() -> Iterator[None]:
    with empty_www():
        yield


def roots(path: str) -> List[str]:
    return [hint.root for hint in given(path, "--autowebroot-path")]


def test_tried_only_where_it_exists() -> None:
    """The plugin never makes it."""
    assert roots(settings.SHARED_DIRECTORY) == []
    Path(settings.SHARED_DIRECTORY).write_text("")
    assert roots(settings.SHARED_DIRECTORY) == [], "it is a file"
    Path(settings.SHARED_DIRECTORY).unlink()
    Path(settings.SHARED_DIRECTORY).mkdir()
    assert roots(settings.SHARED_DIRECTORY) == [settings.SHARED_DIRECTORY]


def test_given_directory_is_tried_even_if_missing() -> None:
    """The error then names the user's mistake."""
    assert roots(f"/nowhere::{settings.SHARED_DIRECTORY}:/srv") == ["/nowhere", "/srv"]


def test_relative_path_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A renewal has another working directory than the user's shell."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert absolute_paths("site:./public/:~/site::/srv/a/../b/:/") == (
        f"{tmp_path}/site:{tmp_path}/public:/home/somebody/site:/srv/a/../b:/")
    assert roots("site") == [f"{tmp_path}/site"]
    assert absolute_paths(settings.SHARED_DIRECTORY) == settings.SHARED_DIRECTORY


def test_name_is_served_from_shared_directory(place: Path) -> None:
    """Also where the server's configuration is not understood, as here with Lua."""
    with shared_directory() as directory:
        lua = f"""content_by_lua_block {{
            local file = io.open("{directory}" .. ngx.var.uri)
            if not file then ngx.exit(404) end
            ngx.print(file:read("*a")) }}"""
        site = f"server {{ listen 80; server_name {NAME}; location / {{ {lua} }} }}"
        main = "".join(f"load_module {MODULES}/{module}.so;"
                       for module in ("ndk_http_module", "ngx_http_lua_module"))
        with Nginx(place / "nginx", site, main=main, user="www-data"), \
                solved(place, hints={NAME: given(directory, "")}) as solver:
            assert solver.outcomes[NAME].verdict is Verdict.PROVEN
            assert ask() == CONTENT
        assert list(Path(directory).iterdir()) == []


def test_existing_lines_are_not_printed_again(place: Path) -> None:
    """Only the directory is missing: the error says how to make it."""
    site = f"server {{ listen 80; server_name {NAME}; root {settings.SHARED_DIRECTORY}; }}"
    with Nginx(place / "nginx", site, user="www-data"), solved(place) as solver:
        said = messages.failure(solver.outcomes[NAME])
    assert "repair what was refused: install -d -m 755 /var/www/autowebroot" in said
    assert "put these lines" not in said


def test_hint_equal_to_the_end_of_the_route(place: Path) -> None:
    """Two test files in one place would be refused, with another remedy."""
    site = f"""server {{ listen 80; server_name {NAME}; root {settings.SHARED_DIRECTORY};
                        if (-f $request_filename) {{ return 404; }} }}"""
    with shared_directory() as directory, Nginx(place / "nginx", site, user="www-data"), \
            solved(place, hints={NAME: given(directory, "")}) as solver:
        outcome = solver.outcomes[NAME]
        assert outcome.verdict is Verdict.DEAD_END and not outcome.proof.publish_errors
        said = messages.failure(outcome)
    assert f"a test file in {directory}/.well-known/acme-challenge did not come back" in said


BALANCED = """upstream both {{ server 127.0.0.1:8001; server 127.0.0.1:8002; }}
server {{ listen 80; location / {{ proxy_pass http://both; proxy_set_header Host $host; }} }}
server {{ listen 127.0.0.1:8001; root {standing}; }}
server {{ listen 127.0.0.1:8002; root {other}; }}"""


def test_one_server_of_several_is_not_enough(place: Path) -> None:
    """A test file that one server returns by chance must not end the search of the others."""
    make(place, "other")
    with shared_directory() as directory:
        config = BALANCED.format(standing=directory, other=place / "other")
        with Nginx(place / "nginx", config, user="www-data"), \
                solved(place, hints={NAME: given(directory, "")}) as solver:
            assert len(solver.outcomes[NAME].places_to_answer()) == 2
            assert {ask(), ask(), ask(), ask()} == {CONTENT}


def test_proven_shared_directory_needs_no_configuration(place: Path) -> None:
    """From the second renewal on it is tried before any file is read."""
    site = f"server {{ listen 80; server_name {NAME}; root {settings.SHARED_DIRECTORY}; }}"
    with shared_directory() as directory, Nginx(place / "nginx", site, user="www-data"):
        with solved(place, hints={NAME: given(directory, "")}) as first:
            assert list(first.proven_directories()) == [NAME]
            assert any(first.outcomes[NAME].routes.values())
        with solved(place, hints={NAME: [Hint(directory, "proven last time")]}) as second:
            assert second.outcomes[NAME].verdict is Verdict.PROVEN
            assert not any(second.outcomes[NAME].routes.values())
