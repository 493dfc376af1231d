"""Certbot plugins of another package, as pip would install them, with the faults that such a package may have."""
from pathlib import Path

#: Each authenticator writes its calls into the file that CALLS names.
_MODULE = '''
import os
from acme import challenges
from certbot import errors
from certbot import interfaces
from certbot.plugins import common


class Files(common.Plugin, interfaces.Authenticator):
    """Puts files where the application of the tests looks for them."""
    description = "files"

    def auth_hint(self, failed_achalls):
        return f"Look at {self.conf('directory')}."

    @classmethod
    def add_parser_arguments(cls, add):
        add("directory", default="/nowhere", help="where the application looks")
        add("number", default=1, type=int, help="a number")
        add("server-root", default="/etc/nginx", help="as Certbot's nginx plugin has it")

    def log(self, what, achalls=()):
        names = " ".join(achall.response_and_validation()[1] and _name(achall) for achall in achalls)
        with open(os.environ["CALLS"], "a") as file:
            file.write(f"{self.name} {what} {names}".strip() + "\\n")

    def file(self, achall):
        return os.path.join(self.conf("directory"), achall.chall.encode("token"))

    def prepare(self):
        self.log("prepare")

    def more_info(self):
        return ""

    def get_chall_pref(self, identifier):
        return [challenges.HTTP01]

    def perform(self, achalls):
        self.log("perform", achalls)
        for achall in achalls:
            with open(self.file(achall), "w") as file:
                file.write(achall.response_and_validation()[1])
        return [achall.response(achall.account_key) for achall in achalls]

    def cleanup(self, achalls):
        self.log("cleanup", achalls)
        for achall in achalls:
            if os.path.exists(self.file(achall)):
                os.unlink(self.file(achall))


class Silent(Files):
    def perform(self, achalls):
        self.log("perform", achalls)
        return [achall.response(achall.account_key) for achall in achalls]


class Unprepared(Files):
    def prepare(self):
        raise errors.NoInstallationError("Could not find the program.")


class Refusing(Files):
    def perform(self, achalls):
        super().perform(achalls)
        raise errors.PluginError("Could not do it.")


class Faulty(Files):
    def perform(self, achalls):
        super().perform(achalls)
        return 1 / 0


class Interrupted(Files):
    def perform(self, achalls):
        super().perform(achalls)
        raise KeyboardInterrupt


class Reluctant(Files):
    def cleanup(self, achalls):
        super().cleanup(achalls)
        raise errors.PluginError("Could not undo it.")


class Dns(Files):
    def get_chall_pref(self, identifier):
        return [challenges.DNS01]


def _name(achall):
    identifier = getattr(achall, "identifier", None)
    return identifier.value if identifier is not None else achall.domain
'''
#: Plugin name to class.
PLUGINS = {"files": "Files", "silent": "Silent", "unprepared": "Unprepared", "refusing": "Refusing",
           "faulty": "Faulty", "interrupted": "Interrupted", "reluctant": "Reluctant", "dns-other": "Dns"}


def install(directory: Path, **more: str) -> Path:
    """Write the package into a directory, which has to be in Python's path.

    :param more: further plugins by name: entry points such as ``some_module:SomeClass``.
    """
    information = directory / "otherplugins-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: otherplugins\nVersion: 1.0\n")
    entries = {**{name: f"otherplugins:{made}" for name, made in PLUGINS.items()}, **more}
    (information / "entry_points.txt").write_text(
        "[certbot.plugins]\n" + "".join(f"{name} = {entry}\n" for name, entry in entries.items()))
    (directory / "otherplugins.py").write_text(_MODULE)
    return directory
