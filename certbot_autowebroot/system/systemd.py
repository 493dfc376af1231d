"""The unit of systemd that owns a process, and how it is told to reload: systemctl(1).

What a unit owns is reloaded by its unit, for the administrator may have said there how (``ExecReload=``), and systemd
wants to know of it.
"""
import os
import re
import subprocess
from typing import Dict
from typing import List

from certbot_autowebroot.system.processes import Process

#: Seconds for one systemctl; a reload waits for what ``ExecReload=`` runs.
_TIMEOUT = 90.0
#: Properties that are set where a unit does not start its program as root and from this machine's files.
_SOMEBODY_ELSES = ("User", "DynamicUser", "RootDirectory", "RootImage")


class SystemctlError(Exception):
    """systemctl says no; the text is what it says."""


def unit_in(cgroup: str) -> str:
    """The service that a process runs in, by its ``/proc/PID/cgroup``, cgroups(7); empty for none.

    A login (``session-3.scope``) and a container's scope are no services, and a user's services are his own manager's.
    That a process was started from a service (cron's, Certbot's own) is told in the same way: see :func:`owner_of`.
    """
    for line in cgroup.splitlines():
        hierarchy, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        # systemd's own tree: version 2, or in version 1 the one that is named after it.
        if (hierarchy == "0" and not controllers) or controllers == "name=systemd":
            match = re.match(r"(?:/[^/]+\.slice)*/([^/]+\.service)(?:/|$)", path)
            if match and not match[1].startswith("user@"):
                return match[1]
    return ""


def owner_of(process: Process) -> str:
    """The unit whose main process this is; empty where there is none, or where systemd does not run."""
    try:
        with open(f"/proc/{process.pid}/cgroup", encoding="utf-8", errors="surrogateescape") as file:
            unit = unit_in(file.read())
    except OSError:  # it has ended
        return ""
    if not unit:
        return ""
    try:
        return unit if properties(unit, "MainPID").get("MainPID") == str(process.pid) else ""
    except SystemctlError:
        return ""


def properties(unit: str, *names: str) -> Dict[str, str]:
    """Properties of a unit, org.freedesktop.systemd1(5).

    :raises SystemctlError: systemd does not run, or does not know the unit.
    """
    said = _systemctl(["show", *(f"--property={name}" for name in names), "--", unit])
    return {name: value for name, mark, value in (line.partition("=") for line in said.splitlines()) if mark}


def command_as_root(unit: str) -> List[str]:
    """What starts the unit as root, as root has written it down: the arguments of a process may be its own words.

    :returns: empty where it is started as somebody else, or in another file system: it may be somebody else's then.
    :raises SystemctlError: systemd does not say so.
    """
    found = properties(unit, "ExecStart", *_SOMEBODY_ELSES)
    if any(found.get(name, "") not in ("", "no") for name in _SOMEBODY_ELSES):
        return []
    match = re.search(r"argv\[\]=(.*?) ;", found.get("ExecStart", ""))
    return match[1].split() if match else []


def systemctl(unit: str, verb: str) -> str:
    """``systemctl reload`` or ``restart``; returns what was done.

    :raises SystemctlError: it has failed; the text is what systemctl says.
    """
    _systemctl([verb, "--", unit])
    return f"systemctl {verb} {unit}"


def _systemctl(arguments: List[str]) -> str:
    environment = {**os.environ, "LC_ALL": "C", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"}
    try:
        done = subprocess.run(["systemctl", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              errors="replace", env=environment, timeout=_TIMEOUT)
    except (OSError, subprocess.SubprocessError) as error:
        raise SystemctlError(str(error)) from error
    if done.returncode != 0:
        raise SystemctlError(done.stderr.strip() or f"status {done.returncode}")
    return done.stdout
