"""Places, candidates and what follows from them; without a machine."""
from certbot_autowebroot.order.inquiry import Candidates
from certbot_autowebroot.order.inquiry import Place
from certbot_autowebroot.order.inquiry import place_of
from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import PathInView
from certbot_autowebroot.route import Vacant
from tests.lab.table import front

FRONT = Endpoint("203.0.113.10", 80)


def directory(name: str) -> Place:
    place = place_of(Directory(PathInView("/srv"), name), None, "token")
    assert place is not None
    return place


def test_place_takes_any_token() -> None:
    """A place that a test file has proven is used with the token of the challenge."""
    assert str(directory("a/token").end_for("other")) == "/srv/a/other"
    listener = place_of(Vacant(FRONT, "/x/token"), None, "token")
    assert listener is not None and listener.end_for("other") == Vacant(FRONT, "/x/other")


def test_place_keeps_directories_that_are_named_as_the_token() -> None:
    """The token is in the file's own name, never in a directory's."""
    assert str(directory("token/token").end_for("other")) == "/srv/token/other"


def test_no_place_at_a_dead_end() -> None:
    """Neither a file nor a listener can answer there."""
    assert place_of(DeadEnd("return 403"), None, "token") is None


def test_candidates_keep_each_place_once_and_in_order() -> None:
    """Two routes may end in one directory; at most twelve places are tried."""
    candidates = Candidates("www.sample.com", front(FRONT), "token")
    candidates = candidates.with_places([directory("b/token"), directory("a/token")])
    candidates = candidates.with_places([directory("a/token"), directory("c/token")])
    assert [str(place.end_for("t")) for place in candidates.places] == ["/srv/b/t", "/srv/a/t", "/srv/c/t"]
    assert len(candidates.with_places(directory(f"{number}/token") for number in range(20)).places) == 12
