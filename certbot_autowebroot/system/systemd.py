"""The systemd unit of a process, and its reload by systemctl(1).

A service is reloaded by its unit: the administrator may have set ``ExecReload=``, and systemd tracks the state.
"""
import os
import re
import subprocess
from typing import Dict
from typing import List

from certbot_autowebroot.system.processes import Process

#: Seconds for one systemctl; a reload waits for what ``ExecReload=`` runs.
TIMEOUT = 90.0
#: Properties of a unit that starts its program as another user than root, or from other files than the host's.
_NOT_AS_ROOT = ("User", "DynamicUser", "RootDirectory", "RootImage")


class SystemctlError(Exception):
    """systemctl has failed; the text is its error message."""


def unit_in(cgroup: str) -> str:
    """The service that a process runs in, by its ``/proc/PID/cgroup``, cgroups(7); empty for none.

    A login (``session-3.scope``) and a container's scope are no services; a user's services belong to that user's own
    manager. Processes that a service has started (cron's, Certbot's own) are in its cgroup too: see :func:`owner_of`.
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


def unit_of(process: Process) -> str:
    """The service that a process runs in; empty for none."""
    try:
        with open(f"/proc/{process.pid}/cgroup", encoding="utf-8", errors="surrogateescape") as file:
            return unit_in(file.read())
    except OSError:  # it has ended
        return ""


def owner_of(process: Process) -> str:
    """The unit whose main process this is; empty if there is none, or without systemd."""
    unit = unit_of(process)
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
    output = _systemctl(["show", *(f"--property={name}" for name in names), "--", unit])
    return {name: value for name, mark, value in (line.partition("=") for line in output.splitlines()) if mark}


def command_as_root(unit: str) -> List[str]:
    """The command by which the unit starts its program as root. A process may overwrite its own arguments.

    :returns: empty if the unit starts it as another user or in another file system.
    :raises SystemctlError: systemd does not run, or does not know the unit.
    """
    values = properties(unit, "ExecStart", *_NOT_AS_ROOT)
    if any(values.get(name, "") not in ("", "no") for name in _NOT_AS_ROOT):
        return []
    match = re.search(r"argv\[\]=(.*?) ;", values.get("ExecStart", ""))
    return match[1].split() if match else []


def systemctl(unit: str, verb: str) -> str:
    """Run ``systemctl reload`` or ``restart``; returns the command.

    :raises SystemctlError: it has failed; the text is the error message of systemctl.
    """
    _systemctl([verb, "--", unit])
    return f"systemctl {verb} {unit}"


def _systemctl(arguments: List[str]) -> str:
    environment = {**os.environ, "LC_ALL": "C", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"}
    try:
        result = subprocess.run(["systemctl", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                errors="replace", env=environment, timeout=TIMEOUT)
    except (OSError, subprocess.SubprocessError) as error:
        raise SystemctlError(str(error)) from error
    if result.returncode != 0:
        raise SystemctlError(result.stderr.strip() or f"status {result.returncode}")
    return result.stdout
