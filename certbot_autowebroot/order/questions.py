"""Asks at a terminal, once, whether other authenticators may answer what we cannot."""
from typing import List
from typing import Sequence

from certbot.display import util as display

from certbot_autowebroot.order import messages
from certbot_autowebroot.order import other_authenticators
from certbot_autowebroot.order.inquiry import Outcome


def ask(failing: Sequence[Outcome]) -> str:
    """The value of ``--autowebroot-fallback`` that the user chooses; empty where no authenticator can be offered."""
    wire = other_authenticators.offers_of_wire(failing)
    if not wire and not other_authenticators.offers(failing):
        return ""
    display.notify("\n" + messages.without_directory(failing))  # Certbot wraps the lines of a question
    agreed: List[str] = []
    if wire and _agrees(messages.wire_question(wire)):
        agreed.append(other_authenticators.WIRE)
        failing = [outcome for outcome in failing if outcome not in wire]
    offers = other_authenticators.offers(failing)
    if offers and _agrees(messages.question(offers)):
        agreed += offers
    return ",".join(agreed) or other_authenticators.NONE


def _agrees(question: str) -> bool:
    return bool(display.yesno(question, default=False, cli_flag="--autowebroot-fallback"))
