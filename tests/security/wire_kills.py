"""Kill orders on the wire at random moments, beside other clients: ``python -m tests.security.wire_kills``.

After each the next run has to leave no table, no process and no file, and no other client may notice anything.
"""
import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.lab import net
from tests.lab.ca import CA
from tests.lab.certbot import SHORT_SLEEPS
from tests.lab.certbot import Certbot
from tests.lab.net import PUBLIC_V4
from tests.lab.nginx import Nginx
from tests.lab.programs import Program
from tests.lab.wire import processes_of
from tests.lab.wire import tables
from tests.lab.wire import wait_until
from tests.lab.wire_orders import APPLICATION
from tests.lab.wire_orders import Others
from tests.lab.wire_orders import order

ROOT, APP = "root.sample.com", "app.sample.com"
_SITES = f"""
server {{{{ listen {PUBLIC_V4}:80; server_name {ROOT}; root {{place}}/root; keepalive_timeout 3600; }}}}
server {{{{ listen {PUBLIC_V4}:80; server_name {APP}; location / {{{{ proxy_pass http://127.0.0.1:3000; }}}} }}}}
"""


def main() -> int:
    """Kill, and print what was left."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--count", type=int, default=100, metavar="N", help="orders to kill (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    moments = random.Random(options.seed)  # noqa: S311 - moments, no secrets
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    net.enter_private_namespace()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        place = Path(name)
        place.chmod(0o755)
        for directory in ("root", "empty"):
            (place / directory).mkdir()
        (place / "root/index.html").write_text("the site")
        with CA(place / "ca") as ca, Program([sys.executable, "-c", APPLICATION], place / "empty", port=3000), \
                Nginx(place / "nginx", _SITES.format(place=place), user="www-data"):
            certbot = Certbot(place / "certbot", ca, SHORT_SLEEPS)
            started = time.monotonic()
            done = certbot.run(*order(APP, "wire"))
            assert done.returncode == 0, done.stdout
            seconds = time.monotonic() - started
            with Others((PUBLIC_V4, PUBLIC_V4), ROOT) as others:
                left = sum(_killed(certbot, moments.uniform(0.2, 1.0) * seconds) for _ in range(options.count))
    print(f"{options.count} orders killed, after {left} of the next runs something was left; "
          f"{others.served} other requests, {len(others.lost)} of them lost")
    return 1 if left or others.lost else 0


def _killed(certbot: Certbot, seconds: float) -> bool:
    """Kill one order, run the next, and return whether that left anything."""
    with subprocess.Popen(certbot.command(*order(APP, "wire"), "--force-renewal"), env=certbot.environment(),
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as killed:
        time.sleep(seconds)
        killed.send_signal(signal.SIGKILL)
    done = certbot.run(*order(APP, "wire"), "--force-renewal")
    try:
        wait_until(lambda: not tables() and not processes_of(killed.pid))
    except AssertionError:
        return True
    return done.returncode != 0 or os.listdir(certbot.directory / "work/autowebroot") != []


if __name__ == "__main__":
    sys.exit(main())
