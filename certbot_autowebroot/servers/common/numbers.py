"""Numbers as configurations have them."""
import re


def number(text: str) -> int:
    """An unsigned number of at most nine ASCII digits; -1 for anything else.

    ``isdigit`` accepts "²", which ``int`` refuses; ``int`` also refuses more than 4,300 digits.
    """
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else -1
