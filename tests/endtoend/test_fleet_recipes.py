"""The recipes of docs/fleet.rst for the certificate on the other machines: the tests run the very text of the page."""
import contextlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable
from typing import Iterator
from typing import List

import pytest

from tests.lab import certificates
from tests.lab import file_server
from tests.lab import readme
from tests.lab.dns import DnsServer
from tests.lab.nginx import public_directory
from tests.lab.nodes import ADDRESSES
from tests.lab.nodes import OUTSIDE
from tests.lab.nodes import PUBLIC
from tests.lab.nodes import TOP
from tests.lab.nodes import Node
from tests.lab.nodes import nodes
from tests.lab.pebble import Pebble

pytestmark = pytest.mark.lab

NAME = "www.sample.com"
LIVE = f"/etc/letsencrypt/live/{NAME}"
BLOCKS = readme.blocks("docs/fleet.rst")
_HOOK = "/etc/letsencrypt/renewal-hooks/deploy/other-machines"
_LINES = "include snippets/autowebroot.conf;"
#: The site's two servers; the first is there before there is a certificate.
_PLAIN = f"""
server {{
    listen 80;
    server_name {NAME};
    root /srv;
}}
"""
_SECURE = f"""
server {{
    listen 443 ssl;
    server_name {NAME};
    ssl_certificate {LIVE}/fullchain.pem;
    ssl_certificate_key {LIVE}/privkey.pem;
}}
"""


@pytest.fixture
def machines(request: pytest.FixtureRequest) -> Iterator[List[Node]]:
    """Three machines, or as many as the parameter says, and a CA outside, which Certbot's cli.ini names.

    The public addresses of all belong to the name.
    """
    with public_directory() as place, nodes(place) as running, contextlib.ExitStack() as stack:
        dns = stack.enter_context(DnsServer(OUTSIDE))
        number = getattr(request, "param", len(running))
        dns.resolve(NAME, *PUBLIC[:number])
        dns.rotating.append(NAME)
        ca = place / "ca"
        ca.mkdir()
        stack.enter_context(Pebble(ca, OUTSIDE))
        running[0].write("/etc/letsencrypt/cli.ini", f"server = https://{OUTSIDE}:14000/dir\nno-verify-ssl = true\n"
                         "register-unsafely-without-email = true\nagree-tos = true\nnon-interactive = true\n")
        yield running[:number]


def serve(machine: Node, *servers: str) -> None:
    """Start Debian's nginx with its own configuration and this site, or reload it."""
    machine.write(f"/etc/nginx/sites-available/{NAME}", "".join(servers))
    machine.sh(f"ln -sf ../sites-available/{NAME} /etc/nginx/sites-enabled/; "
               "if [ -s /run/nginx.pid ]; then nginx -s reload; else nginx; fi")


def pass_challenges_on(*machines: Node) -> None:
    """The machines pass challenges on to the first of all, which renews."""
    lines = machines[0].sh(f"certbot-autowebroot snippet nginx --to {ADDRESSES[0]}")
    for machine in machines:
        machine.write("/etc/nginx/snippets/autowebroot.conf", lines)
        serve(machine, _PLAIN.replace("root /srv;", _LINES))


def has_lineage(machine: Node, place: Path, days: int) -> None:
    """The machine has a certificate that was issued so many days ago."""
    certificates.lineage(place / str(days), NAME, days)
    for file in (place / str(days)).iterdir():
        machine.write(f"{LIVE}/{file.name}", file.read_text(), "600")


def fingerprint(machine: Node) -> str:
    """The fingerprint of the certificate on a machine's disk, as the page's check prints it."""
    printed = machine.sh(f"openssl x509 -noout -fingerprint -sha256 -in {LIVE}/cert.pem")
    return printed.partition("=")[2].strip().replace(":", "").lower()


def same_everywhere() -> str:
    """The check of the page."""
    command, = BLOCKS["The certificate on the other machines"]
    return command


def install_rsync_recipe(machines: List[Node], hook: str) -> None:
    """The keys and scripts of the page."""
    setup, receive, restriction, _ = BLOCKS["By rsync and a deploy hook"]
    renews, *others = machines
    renews.sh(setup)
    for other in others:
        other.write("/usr/local/sbin/receive-certificates", receive, "755")
        other.write("/root/.ssh/authorized_keys",
                    f"{restriction} {renews.sh('cat /etc/letsencrypt/other-machines.pub')}", "600")
    renews.write(_HOOK, hook, "755")


def test_rsync_and_deploy_hook(machines: List[Node]) -> None:
    """A real renewal brings the new certificate to all machines."""
    renews, *others = machines
    renews.sh("mkdir -p /var/www/autowebroot")
    pass_challenges_on(*others)
    renews.sh(f"certbot certonly -a autowebroot -d {NAME} --deploy-hook 'certbot-autowebroot reload'")
    install_rsync_recipe(machines, BLOCKS["By rsync and a deploy hook"][-1])
    renews.sh(f"RENEWED_LINEAGE={LIVE} {_HOOK}")
    serve(renews, _PLAIN, _SECURE)
    for other in others:
        serve(other, _PLAIN.replace("root /srv;", _LINES), _SECURE)
    first = fingerprint(renews)
    renews.sh("certbot renew --force-renewal --no-random-sleep-on-renew")
    checked = renews.sh(same_everywhere())
    assert f"{NAME}: one certificate is shown, the same at all 3 addresses\n" in checked
    assert fingerprint(renews) in checked and fingerprint(renews) != first


def test_rsync_key_is_restricted(machines: List[Node], tmp_path: Path) -> None:
    """The key writes certificates and reloads, and can do nothing else; the hook names a machine that is down."""
    renews, *others = machines
    has_lineage(renews, tmp_path, 0)
    install_rsync_recipe(machines, BLOCKS["By rsync and a deploy hook"][-1].replace("ConnectTimeout=10",
                                                                                   "ConnectTimeout=2"))
    renews.sh(f"RENEWED_LINEAGE={LIVE} {_HOOK}")
    assert {fingerprint(machine) for machine in machines} == {fingerprint(renews)}
    ssh = f"ssh -i /etc/letsencrypt/other-machines -o BatchMode=yes root@{ADDRESSES[1]}"
    assert "this key may not run: id\n" in renews.try_sh(f"{ssh} id").stdout
    for forbidden in (f"/etc/hostname root@{ADDRESSES[1]}:../hostname",
                      f"root@{ADDRESSES[1]}:{NAME}/privkey.pem /tmp/"):
        assert renews.try_sh(f"rsync -e 'ssh -i /etc/letsencrypt/other-machines' {forbidden}").returncode != 0
    others[1].stop()
    done = renews.try_sh(f"RENEWED_LINEAGE={LIVE} {_HOOK}")
    assert done.returncode == 1 and f"{ADDRESSES[2]} may show the old certificate" in done.stdout


def environment_of_certbot(machine: Node) -> None:
    """/opt/certbot and the checkout of the plugin: Certbot comes from this environment, and pip has no network."""
    site = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    machine.sh(f"""set -e
        mkdir -p /opt/src/certbot-autowebroot
        cd {TOP} && cp -r --parents certbot_autowebroot setup.py pyproject.toml README.rst LICENSE docs packaging \
            /opt/src/certbot-autowebroot
        {TOP}/.venv/bin/python -m venv --without-pip /opt/certbot
        echo {TOP}/.venv/{site} > /opt/certbot/{site}/certbot.pth
        printf '#!/opt/certbot/bin/python\nimport sys\nfrom %s import main\nsys.exit(main())\n' pip._internal.cli.main \
            > /opt/certbot/bin/pip
        printf '#!/opt/certbot/bin/python\nimport sys\nfrom %s import main\nsys.exit(main())\n' certbot.main \
            > /opt/certbot/bin/certbot
        chmod 755 /opt/certbot/bin/pip /opt/certbot/bin/certbot""")
    # "false" switches the isolation off, which would download setuptools: pip's documentation, "Boolean options".
    machine.write("/etc/pip.conf", "[install]\nno-build-isolation = false\nno-index = true\ncompile = false\n")


@pytest.fixture
def playbook(machines: List[Node], tmp_path: Path, place: Path) -> Callable[[str], str]:
    """Run a playbook of the page on machines that Ansible may enter; returns what it prints."""
    inventory, *playbooks = BLOCKS["By Ansible"]
    (tmp_path / "inventory.ini").write_text(inventory.replace(ADDRESSES[2], "") + "\n")
    for name, text in zip(("challenges.yml", "certificates.yml"), playbooks):
        (tmp_path / name).write_text(text + "\n")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    for machine in machines:
        machine.write("/root/.ssh/authorized_keys", (tmp_path / "key.pub").read_text(), "600")

    def run(name: str) -> str:
        # Not a pipe: the connection that Ansible leaves open would hold it.
        with open(tmp_path / "output", "w+", encoding="utf-8") as output:
            status = subprocess.run(
                ["ansible-playbook", "-i", "inventory.ini", "--private-key", "key", "-u", "root", name],
                cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=300, check=False,
                env={**os.environ, "HOME": str(tmp_path), "ANSIBLE_HOST_KEY_CHECKING": "False",
                     "ANSIBLE_PIPELINING": "True", "ANSIBLE_SSH_TRANSFER_METHOD": "piped",
                     "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3",
                     # The path of a socket has at most 107 characters, unix(7); that of the tests' directory is long.
                     "ANSIBLE_SSH_CONTROL_PATH_DIR": str(place)}).returncode
            output.seek(0)
            text = output.read()
        assert status == 0, text
        return text

    return run


two_machines = pytest.mark.parametrize("machines", [2], indirect=True, ids=["two machines"])


@two_machines
def test_ansible_passes_challenges_on(machines: List[Node], playbook: Callable[[str], str]) -> None:
    """After the first playbook, the other machine serves a file of the machine that renews."""
    renews, other = machines
    for machine in machines:
        environment_of_certbot(machine)
        serve(machine, _PLAIN)
    playbook("challenges.yml")
    path = ".well-known/acme-challenge/abc"
    renews.write(f"/var/www/autowebroot/{path}", "here")
    assert other.sh(f"curl -sS -H 'Host: {NAME}' http://{ADDRESSES[1]}/{path}") == "here"
    assert "include snippets/autowebroot.conf;" in renews.sh(f"cat /etc/nginx/sites-available/{NAME}")


@two_machines
@pytest.mark.parametrize("renewed", [False, True], ids=["the first", "a renewed one"])
def test_ansible_copies_certificate(machines: List[Node], playbook: Callable[[str], str], tmp_path: Path,
                                    renewed: bool) -> None:
    """The second playbook leaves a new certificate on a machine that showed an older one."""
    renews, other = machines
    for machine in machines:
        machine.sh(f"ln -s {TOP}/.venv /opt/certbot")
    pass_challenges_on(other)
    has_lineage(other, tmp_path, 60)
    serve(other, _PLAIN.replace("root /srv;", _LINES), _SECURE)
    serve(renews, _PLAIN)
    if renewed:
        has_lineage(renews, tmp_path, 0)
    playbook("certificates.yml")
    assert fingerprint(renews) in renews.sh(same_everywhere().replace(",".join(ADDRESSES), ADDRESSES[1]))


def test_shared_directory(machines: List[Node], place: Path) -> None:
    """The challenges and the certificate are on a file server; root of another machine is nobody for the first."""
    install, exports, cron = BLOCKS["By a shared directory"]
    renews, *others = machines
    settings = renews.sh("cat /etc/letsencrypt/cli.ini")
    subprocess.run(["sh", "-e", "-c", install.replace("/srv/nfs", str(place))], check=True)
    (place / "letsencrypt").mkdir()
    for machine, address in zip(machines, ADDRESSES):
        for directory, target in (("autowebroot", "/var/www/autowebroot"), ("letsencrypt", "/etc/letsencrypt")):
            machine.mount(place / directory, target,
                          file_server.options_for(exports, f"/srv/nfs/{directory}", address))
        machine.write("/etc/nginx/snippets/autowebroot.conf", machine.sh("certbot-autowebroot snippet nginx"))
        serve(machine, _PLAIN.replace("root /srv;", _LINES))
    renews.write("/etc/letsencrypt/cli.ini", settings)
    webroot = renews.try_sh(f"certbot certonly --webroot -w /var/www/autowebroot -d {NAME}")
    assert webroot.returncode == 1 and "/var/www/autowebroot" in webroot.stdout
    renews.sh(f"certbot certonly -a autowebroot -d {NAME} --deploy-hook 'certbot-autowebroot reload'")
    for machine in machines:
        serve(machine, _PLAIN.replace("root /srv;", _LINES), _SECURE)
    first = renews.sh(same_everywhere())
    renews.sh("certbot renew --force-renewal --no-random-sleep-on-renew")
    for other in others:
        other.sh(cron.partition(" root ")[2])
    second = renews.sh(same_everywhere())
    assert f"{NAME}: one certificate is shown, the same at all 3 addresses\n" in second and second != first
    others[0].mount(place / "letsencrypt", "/etc/letsencrypt", "ro,root_squash")
    assert "Permission denied" in others[0].try_sh("nginx -t").stdout


def test_each_machine_renews_by_itself(machines: List[Node]) -> None:
    """With the same peers lines, three Certbots renew at the same time; each gets a certificate of its own."""
    for machine in machines:
        machine.write("/etc/letsencrypt/cli.ini", machines[0].sh("cat /etc/letsencrypt/cli.ini"))
        machine.sh("mkdir -p /var/www/autowebroot")
        lines = machine.sh(f"certbot-autowebroot snippet nginx --peers {','.join(ADDRESSES)}")
        upstream, separator, server = lines.rpartition("# File: /etc/nginx/snippets/")
        machine.write("/etc/nginx/conf.d/autowebroot-peers.conf", upstream)
        machine.write("/etc/nginx/snippets/autowebroot.conf", separator + server)
        serve(machine, _PLAIN.replace("root /srv;", _LINES))
    for command in (f"certbot certonly -a autowebroot -d {NAME}",
                    "certbot renew --force-renewal --no-random-sleep-on-renew"):
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda machine, command=command: machine.sh(command), machines))
    shown = {machine.sh(f"openssl x509 -noout -fingerprint -in {LIVE}/cert.pem") for machine in machines}
    assert len(shown) == len(machines)
    assert all(machine.sh("ls -A /var/www/autowebroot/.well-known/* 2>/dev/null || true") == "" for machine in machines)
