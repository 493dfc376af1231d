"""Regular expressions from strangers: PCRE's meaning, and never longer than the limit."""
import signal
import threading

import pytest

from certbot_autowebroot.servers.common import regex


@pytest.mark.parametrize("pattern, text, groups", [
    (r"^(?<user>[a-z]+)\.sample\.com$", "ann.sample.com", {"user": "ann"}),
    (r"^(?P<user>\w+)\.", "ann.sample.com", {"user": "ann"}),
    (r"(?<!x)y", "y", {}),
    (r"a\z", "a", {}),
    (r"[[a]", "[", {}),
    (r"\/\.well\-known", "/.well-known", {}),
])
def test_translation(pattern, text, groups):
    """Syntax of PCRE that Python writes differently keeps its meaning."""
    assert regex.search(pattern, text).groupdict() == groups


def test_case_and_ascii():
    r"""Matches are case-sensitive by default; \w is ASCII, as in PCRE without UTF mode."""
    assert regex.search("A", "a") is None
    assert regex.search("A", "a", ignore_case=True)
    assert regex.search(r"\w", "é") is None
    assert regex.search(r"\\z", "\\z")
    assert regex.search("^[[:alpha:]_]+$", "a_Z") and not regex.search("[[:alpha:]]", "[:]")


@pytest.mark.parametrize("pattern", ["(", "[[:^alpha:]]", r"\Qa.b\E", r"(?R)", "(" * 5000, "a" * 70_000, r"(?|a|b)",
                                     r"\p{L}", "a{99999999999}", "(*ACCEPT)"])
def test_unsupported_syntax(pattern):
    """It is an error, never another meaning."""
    with pytest.raises(regex.RegexError):
        regex.search(pattern, "a")


@pytest.mark.parametrize("pattern, text", [
    ("(a+)+$", "a" * 60 + "!"), ("(a|a)*$", "a" * 60 + "!"), ("(.*)*x", "b" * 60), ("(?:.*a){25}", "a" * 50),
    ("((a{0,300}){0,300}){0,300}$", "a" * 400 + "!"),
])
def test_time_limit(pattern, text):
    """Catastrophic backtracking ends at the limit."""
    with pytest.raises(regex.RegexError, match="too long"):
        regex.search(pattern, text)


def test_existing_timer():
    """A timer set before still fires, with its own handler."""
    rang = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: rang.append(number))
    try:
        signal.setitimer(signal.ITIMER_REAL, 60)
        assert regex.search("a", "a")
        assert 50 < signal.setitimer(signal.ITIMER_REAL, 0)[0] <= 60
        signal.raise_signal(signal.SIGALRM)
        assert rang
    finally:
        signal.signal(signal.SIGALRM, before)


def test_other_thread():
    """No signal reaches another thread, so it gets no match."""
    raised = []

    def run():
        try:
            regex.search("a", "a")
        except regex.RegexError as error:
            raised.append(error)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert raised
