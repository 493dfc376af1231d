"""Configuration files that a program writes, such as a hosting panel: it overwrites edits. *Pure*."""
import re
from typing import NamedTuple
from typing import Optional

#: What ISPConfig, Plesk, HestiaCP, cPanel, aaPanel and others write into the first lines of their files.
_NOTICE = re.compile(r"(?im)^\s*#+\s*(.*\b(?:do not (?:modify|edit|change|touch)|don't (?:modify|edit|change)|"
                     r"(?:automatically|auto-?) ?generated|generated (?:automatically|by)|managed by|"
                     r"(?:will|would) be (?:lost|overwritten)|is maintained by)\b.*?)[\s#]*$")
_INCLUDE = re.compile(r"(?i)^\s*include(?:optional)?\s+[\"']?([^\"'\s;]*\*[^\"'\s;]*)")
_NEXT_SITE = re.compile(r"(?i)^\s*(?:server\s*\{|<VirtualHost\b)")
#: Where a panel takes lines of a site's owner, by what its files have in common: their path or their text. aaPanel and
#: Virtualmin edit the files in place, and keep lines of others. ea-nginx of cPanel, HestiaCP and Vesta include files by
#: a pattern. Sources: the panels' own manuals and the files that they write.
_PANELS = (
    # Plesk, Administrator's Guide, "Apache and nginx Configuration Files" and "Adjusting nginx Settings".
    (re.compile(r"^/var/www/vhosts/system/[^/]+/conf/"),
     "Plesk, under Apache & nginx Settings of the domain, as additional directives"),
    # ISPConfig 3 Manual, "Website", tab Options.
    (re.compile(r"^/etc/(?:nginx|apache2|httpd/conf)/sites-(?:available|enabled)/[^/]+\.vhost$"),
     "ISPConfig, under Options of the website, as nginx Directives or Apache Directives"),
    # DirectAdmin's documentation, "Customizing NGINX".
    (re.compile(r"^/usr/local/directadmin/data/users/[^/]+/(?:nginx|httpd)\.conf$"),
     "DirectAdmin, under Custom HTTPD Configurations of the domain"),
    # CloudPanel's documentation, "Vhost Editor"; its templates all include this file.
    (re.compile(r"(?m)^\s*include /etc/nginx/global_settings;"), "CloudPanel, under Vhost of the site"),
    # cPanel's documentation, "Modify Apache Virtual Hosts with Include Files".
    (re.compile(r"(?im)^# .*\bcPanel\b"),
     "cPanel, as a file below /etc/apache2/conf.d/userdata/std/2_4/USER/DOMAIN with a name in .conf, and run "
     "/usr/local/cpanel/scripts/ensure_vhost_includes --all-users"),
)
#: Lines at the beginning of a file that may have the notice, and lines of a site.
_HEAD = 40
_SITE = 300


class Include(NamedTuple):
    """A line by which a site includes every file that matches a pattern: the place for lines of the site's owner."""

    line: int
    pattern: str


def notice(text: str) -> str:
    """The words by which a file says that a program writes it; empty where it does not."""
    match = _NOTICE.search("\n".join(text.splitlines()[:_HEAD]))
    return match[1].strip() if match else ""


def panel(file: str, text: str) -> str:
    """Where the panel that writes a file takes lines of a site's owner; empty where none is known."""
    head = "\n".join(text.splitlines()[:_HEAD])
    return next((place for pattern, place in _PANELS if pattern.search(file) or pattern.search(head)), "")


def include_of_site(text: str, line: int) -> Optional[Include]:
    """The first include with a pattern in the site that begins on a line."""
    for number, content in enumerate(text.splitlines()[line:line + _SITE], line + 1):
        if _NEXT_SITE.match(content):
            return None
        match = _INCLUDE.match(content)
        if match:
            return Include(number, match[1])
    return None
