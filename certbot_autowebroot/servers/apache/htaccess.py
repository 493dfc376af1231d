"""The .htaccess of a directory: the directives in it, and those that AllowOverride allows."""
import os
import re
from typing import Iterator
from typing import Optional
from typing import Sequence

from certbot_autowebroot.servers.apache.configuration import Configuration
from certbot_autowebroot.servers.apache.directives import ConfigurationError
from certbot_autowebroot.servers.apache.directives import Directive
from certbot_autowebroot.servers.apache.directives import UnknowableError
from certbot_autowebroot.servers.apache.parser import Parser
from certbot_autowebroot.system.views import View

_CLASSES = {
    "authconfig": {"require", "requireall", "requireany", "requirenone", "authtype", "authname", "authuserfile",
                   "authgroupfile", "authmerging", "satisfy", "sslrequiressl"},
    "fileinfo": {"rewriteengine", "rewriterule", "rewritecond", "rewritebase", "rewriteoptions", "redirect",
                 "redirectmatch", "redirectpermanent", "redirecttemp", "sethandler", "setenvif", "setenvifnocase"},
    "limit": {"order", "allow", "deny"},
    "options": {"options"},
}
#: The classes of which each allows a directive; any class allows another directive, such as <IfModule>.
_CLASSES_OF = {directive: {name} for name, directives in _CLASSES.items() for directive in directives}
_CLASSES_OF.update({"limit": {"limit", "authconfig"}, "limitexcept": {"limit", "authconfig"}})
_CONDITION = re.compile(r"^\s*<(If(?:Module|Define|Version|File|Directive|Section))\b([^>\n]*)", re.I | re.M)


class NotAllowedHereError(Exception):
    """AllowOverride does not allow a directive of .htaccess: httpd answers 500 ("not allowed here")."""

    def __init__(self, directive: Directive) -> None:
        super().__init__(str(directive.step))
        self.directive = directive


class Htaccess:
    """Reads .htaccess files in one view, for one request or many."""

    def __init__(self, configuration: Configuration, view: View) -> None:
        self._configuration = configuration
        self._view = view

    def __call__(self, directory: str, above: Sequence[Directive]) -> Optional[Sequence[Directive]]:
        """The directives of the .htaccess of a directory; None where there is none.

        :param above: the merged directives of the directory without it.
        :raises NotAllowedHereError: AllowOverride does not allow a directive.
        :raises UnknowableError: the file is not readable or not understood.
        """
        if not is_read(above):
            return None
        names = next((d.words for d in reversed(above) if d.name == "accessfilename"), None) or [
            word for d in self._configuration.main.directives if d.name == "accessfilename" for word in d.words]
        for name in names or [".htaccess"]:
            path = os.path.join(directory, name)
            try:
                text = os.fsdecode(self._view.read(path))
            except (FileNotFoundError, NotADirectoryError):
                continue
            except (OSError, ValueError) as error:
                raise UnknowableError(f"{path} cannot be read: {error}") from error
            return self._parsed(text, path, above)
        return None

    def _parsed(self, text: str, path: str, above: Sequence[Directive]) -> Sequence[Directive]:
        parser = Parser(self._view, self._configuration.tree.server_root, {})
        parser.modules |= self._configuration.tree.modules or set()
        try:
            directives = parser.text(text, path)
        except ConfigurationError as error:
            raise UnknowableError(f"{path}: {error}") from error
        if parser.problems:
            raise UnknowableError(f"{path} is refused: {parser.problems[0]}")
        allowed = override_words(above, "allowoverride") or set()
        listed = override_words(above, "allowoverridelist") or set()
        if allowed & {"nonfatal=override", "nonfatal=all"}:
            return [one for one in directives if all(_is_allowed(d, allowed, listed) for d in _all([one]))]
        for directive in (*_conditions(text, path), *_all(directives)):
            if not _is_allowed(directive, allowed, listed):
                raise NotAllowedHereError(directive)
        return directives


def _conditions(text: str, path: str) -> Iterator[Directive]:
    """``<IfModule>`` and similar sections: the parser evaluates them, so the tree lacks them."""
    for match in _CONDITION.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        yield Directive(match.group(1).lower(), match.group(1), match.group(2), path, line, is_section=True)


def _is_allowed(directive: Directive, allowed: "set[str]", listed: "set[str]") -> bool:
    classes = _CLASSES_OF.get(directive.name, allowed & _CLASSES.keys())
    return "all" in allowed or "<" * directive.is_section + directive.name in listed or bool(classes & allowed)


def _all(directives: Sequence[Directive]) -> Iterator[Directive]:
    """All directives at every level: an allowed ``<Limit POST>`` does not allow the ``Require`` in it."""
    for directive in directives:
        yield directive
        yield from _all(directive.children)


def override_words(above: Sequence[Directive], name: str) -> "Optional[set[str]]":
    """The words of the effective AllowOverride or AllowOverrideList; None where there is none."""
    directive = next((d for d in reversed(above) if d.name == name), None)
    words = [word.lower() for word in directive.words] if directive else []
    return {word if word.startswith("nonfatal") else word.partition("=")[0] for word in words} if directive else None


def is_read(above: Sequence[Directive]) -> bool:
    """Whether httpd reads .htaccess files.

    Only ``AllowOverride None`` prevents that. Without AllowOverride httpd reads them and refuses each directive.
    """
    override, listed = override_words(above, "allowoverride"), override_words(above, "allowoverridelist")
    return override != {"none"} or (listed or {"none"}) != {"none"}
