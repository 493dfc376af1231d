"""The shared challenge directory, and how options are saved with a lineage.

Certbot loads this module with every one of its commands, so it imports nothing that Certbot has not loaded.
"""
import json
import os
from typing import Any
from typing import List

#: The directory that a web server may serve for every site, and that renewals try without an option. It is a document
#: root for challenges alone: files go below ``.well-known/acme-challenge`` in it. Why this one:
#:
#: * The workers of every web server can enter it. Many systems close Certbot's own ``/var/lib/letsencrypt`` and
#:   ``/etc/letsencrypt``, and the home directories, to them.
#: * SELinux labels files made in ``/var/www`` as web content (``httpd_sys_content_t``), and files made in ``/var/lib``
#:   not. Debian's ``apache2.conf`` grants ``/var/www`` and refuses the rest.
#: * It belongs to the administrator, not to packages (Debian's lintian, ``dir-or-file-in-var-www``). The administrator
#:   makes it once; a renewal never does.
#: * ``/var/www/acme``, the default of OpenBSD's acme-client(1), may be a customer's site.
SHARED_DIRECTORY = "/var/www/autowebroot"


def as_setting(value: Any) -> str:
    """Serialize a value as JSON on one line; an empty value as an empty string.

    One string per setting, because Certbot corrupts a list at the second renewal. Sorted, so that the file changes only
    when its meaning does. Without a percent sign: Certbot reads ``%(word)s`` as the value of another setting
    (configobj, "String Interpolation"), and skips a lineage that has no such setting.
    """
    return json.dumps(value, sort_keys=True).replace("%", "\\u0025") if value else ""


def absolute_paths(paths: str) -> str:
    """Make each directory of ``--autowebroot-path`` absolute: a renewal has another working directory than a shell."""
    return ":".join(os.path.abspath(os.path.expanduser(root)) if root[0] != "/" else root.rstrip("/") or "/"
                    for root in paths.split(":") if root)


def nodes(value: str) -> List[str]:
    """The addresses of ``--autowebroot-nodes``, as they were given."""
    return [address.strip() for address in value.split(",") if address.strip()]


def path_notes(option: str, paths: str) -> List[str]:
    """Sentences on the directories of an option that its user may not have meant: relative ones, and missing ones.

    :param option: the option, such as ``--autowebroot-path``.
    """
    notes = []
    for given in filter(None, paths.split(":")):
        path = absolute_paths(given)
        if not os.path.isabs(given):
            notes.append(f"{option} {given} is a relative path: it means {path} here")
        try:
            os.stat(os.path.join(path, ""))
        except (FileNotFoundError, NotADirectoryError):
            notes += [] if path == SHARED_DIRECTORY else [f"{option} {path}: there is no such directory"]
        except OSError:  # a directory that only root may enter
            pass
    return notes
