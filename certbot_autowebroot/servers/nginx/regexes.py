"""The regular expressions of an nginx configuration, and the error for values that only the server knows."""
from typing import Match
from typing import Optional

from certbot_autowebroot.servers.common import regex


class UnknowableError(Exception):
    """Only the running server knows a value; the text names it."""


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
        """Whether it has groups; yes where that is unknown."""
        try:
            return regex.compiled(self.text, self._ignore_case).groups > 0
        except regex.RegexError:
            return True

    def search(self, subject: str) -> Optional[Match[str]]:
        """Match it anywhere in the subject, as PCRE does.

        :raises UnknowableError: it cannot be translated, or takes too long; it is not tried a second time then.
        """
        if self._too_slow:
            raise UnknowableError(f"the regular expression {self.text[:80]} takes too long")
        try:
            return regex.search(self.text, subject, self._ignore_case)
        except regex.RegexError as error:
            self._too_slow = isinstance(error, regex.RegexTimeoutError)
            raise UnknowableError(str(error)) from None
