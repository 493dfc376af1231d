"""Lines with which Apache httpd serves one directory for challenges. *Pure*."""
import os
import shlex
from typing import Iterator
from typing import List

from zope.interface import moduleProvides

from certbot_autowebroot.interfaces import Edit
from certbot_autowebroot.interfaces import IHasSnippet
from certbot_autowebroot.interfaces import SiteLines
from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Source
from certbot_autowebroot.route import Step
from certbot_autowebroot.route import Trail
from certbot_autowebroot.servers.apache import invocation
from certbot_autowebroot.servers.common.snippet import commented
from certbot_autowebroot.servers.common.snippet import first_step
from certbot_autowebroot.servers.common.snippet import mkdir_command
from certbot_autowebroot.system.processes import Process

moduleProvides(IHasSnippet)

#: A regular expression for the beginning of the CA's path.
_PATTERN = r"/\.well-known/acme-challenge/"
_EXCEPT = f'<If "%{{REQUEST_URI}} !~ m#^{_PATTERN}#">'


def lines(directory: str, with_order: bool = False, with_servlets: bool = False) -> List[str]:
    """For the beginning of a ``<VirtualHost>``.

    mod_rewrite comes before ``Redirect``, ``ProxyPass`` and ``Alias`` in any order, and after its flag ``END`` no
    ``.htaccess`` rewrites. ``<If>`` is merged after all other sections ("Configuration Sections", "How the sections are
    merged").

    :param with_order: the host refuses by ``Order`` and ``Deny`` of Apache 2.2 (mod_access_compat), which count besides
        ``Require`` but for ``Satisfy Any``.
    :param with_servlets: mod_jk passes every path on, unless the variable ``no-jk`` is set.
    """
    satisfied = ["    <IfModule mod_access_compat.c>", "        Satisfy Any", "    </IfModule>"] if with_order else []
    return [*([rf'SetEnvIf Request_URI "^{_PATTERN}" no-jk'] if with_servlets else []),
            "RewriteEngine On",
            rf'RewriteRule "^{_PATTERN}([\w-]+)$" "{directory}{CHALLENGE_PATH}$1" [END]',
            rf'<If "%{{REQUEST_URI}} =~ m#^{_PATTERN}#">',
            "    Require all granted",
            "    SetHandler None",
            *satisfied,
            "</If>"]


def for_site(process: Process, request: Request, trail: Trail, directory: str) -> Iterator[SiteLines]:
    """The lines for a virtual host; else for the main server, before its last line that counts for the request.

    What the owner of a site can write into ``.htaccess`` comes first where that file decides. No line undoes a
    ``Redirect`` in a ``<Location>`` or an ``<If>``: that line has to get a condition of its own.
    """
    deciding = first_step(trail[::-1], "")
    redirect = deciding is not None and deciding.text.lower().startswith("redirect")
    if deciding is not None and deciding.source is not None and os.path.basename(deciding.source.file) == ".htaccess":
        yield from _in_htaccess(deciding.source.file)
        if redirect:
            yield _in_place(deciding, deciding.source, "run Certbot again")
    host = first_step(trail, "<VirtualHost")
    step = host or deciding
    if step is None or step.source is None or deciding is None or deciding.source is None:
        return
    refuses = any(step.text.lower().startswith(("order ", "deny ", "allow ")) for step in trail)
    servlets = any(step.text.lower().startswith("jkmount ") for step in trail)
    where = f"into the <VirtualHost> at {step.source}, as its first lines" if host else \
        f"before {step.source}, outside of any section"
    text = tuple(lines(directory, refuses, servlets))
    test = f"{test_command(process)}, and reload Apache"
    enable = "" if _has_rewrite(process) else "a2enmod rewrite (or whatever loads mod_rewrite there), "
    edit = Edit(step.source.file, step.source.line, text, r"(?im)^\s*<VirtualHost[^\n]*>[^>\n]*$" if host else "")
    site = SiteLines(step.source, text, where, enable + test, edits=(edit,))
    yield site
    if redirect:
        in_place = _in_place(deciding, deciding.source, test)
        yield in_place
        yield site._replace(
            besides=f'and put "{deciding.text}" ({deciding.source}), which is taken first, into a section '
                    f"{_EXCEPT} ... </If>", edits=(*in_place.edits, edit))


def _in_place(line: Step, source: Source, then: str) -> SiteLines:
    """The same line with a condition."""
    text = (_EXCEPT, f"    {line.text}", "</If>")
    return SiteLines(source, text, f"in place of {source}", then,
                     edits=(Edit(source.file, source.line, text, instead=True),))


def _has_rewrite(process: Process) -> bool:
    """Whether the process has loaded mod_rewrite; False where that cannot be seen."""
    try:
        with open(f"/proc/{process.pid}/maps", "rb") as file:
            return any(line.endswith(b"/mod_rewrite.so\n") for line in file)
    except OSError:
        return False


def test_command(process: Process) -> str:
    """Apache's test of the configuration with which it runs. Debian's own needs the variables that apache2ctl sets."""
    words = [word for letter, values in invocation.options(process.argv).items() if letter in "DCcdf"
             for value in values if value != "FOREGROUND" for word in (f"-{letter}", value)]
    name = "apache2ctl" if process.name == "apache2" and "-f" not in words else process.name
    return shlex.join([name, "-t", *words])


def _in_htaccess(file: str) -> Iterator[SiteLines]:
    """Lines for the beginning of the file: against its rewrites, and against those and its access rules."""
    rewrites = ("RewriteEngine On",
                f"RewriteCond %{{REQUEST_URI}} ^{_PATTERN}",
                "RewriteRule ^ - [END]")
    access, order = ((rf'<If "%{{REQUEST_URI}} =~ m#^{_PATTERN}#">', *rules, "</If>")
                     for rules in (("    Require all granted",), ("    Order allow,deny", "    Allow from all")))
    for text in (rewrites, access, order, (*rewrites, *access), (*rewrites, *order)):
        yield SiteLines(Source(file, 1), text, f"into {file}, as its first lines", "run Certbot again",
                        edits=(Edit(file, 1, text),))


def for_every_site(directory: str) -> str:
    """A file that the main server includes."""
    engine, rule, *section = lines(directory, with_order=True)
    return commented(f"""
        File: /etc/apache2/conf-available/autowebroot.conf

        This holds for all virtual hosts. One that has Redirect, "RewriteEngine Off", "RewriteOptions Inherit", an Alias
        for / or for this path, or ProxyPass in a <Location> needs this besides, as its first line and in place of a
        "RewriteEngine Off":
            Include conf-available/autowebroot.conf
        (A Redirect to https does not, where the site on https is here too.) RewriteRules that stand outside of virtual
        hosts hold in all of them from now on. What a virtual host says in an <If>, and a Redirect in a <Location>,
        still wins.
        Then run:
            {mkdir_command(directory)}
            a2enmod alias rewrite && a2enconf autowebroot && apache2ctl configtest && systemctl restart apache2
        """, [f"Alias {CHALLENGE_PATH} {directory}{CHALLENGE_PATH}",
              engine, "RewriteOptions InheritDownBefore", rule, *section,
              "<IfModule mod_proxy.c>",
              f"    <Location {CHALLENGE_PATH}>",
              "        ProxyPass !",
              "    </Location>",
              "</IfModule>"])
