"""The regular expressions of an nginx configuration, and what is said when one cannot be evaluated."""
from typing import Match
from typing import Optional

from certbot_autowebroot.servers.common import regex


class Unknowable(Exception):
    """Something that only the running server knows. The text says what."""


class Regex:
    """One regular expression of the configuration.

    :param text: as PCRE reads it.
    :param ignore_case: ``~*`` instead of ``~``.
    """

    def __init__(self, text: str, ignore_case: bool = False) -> None:
        self.text = text
        self._ignore_case = ignore_case
        self._too_slow = False

    @property
    def has_captures(self) -> bool:
        """Whether it has groups; taken as yes where we cannot know."""
        try:
            return regex.compiled(self.text, self._ignore_case).groups > 0
        except regex.RegexError:
            return True

    def search(self, subject: str) -> Optional[Match[str]]:
        """Match it anywhere in the subject, as PCRE does.

        :raises Unknowable: it cannot be translated, or takes too long; after once, it is not tried again.
        """
        if self._too_slow:
            raise Unknowable(f"the regular expression {self.text[:80]} takes too long")
        try:
            return regex.search(self.text, subject, self._ignore_case)
        except regex.RegexError as error:
            self._too_slow = isinstance(error, regex.TooSlow)
            raise Unknowable(str(error)) from None
