"""Which directories never get a file."""
import pytest

from certbot_autowebroot.responders import safe_directories


@pytest.mark.parametrize("path, expected", [
    ("/", True), ("/etc", True), ("/etc/cron.d", True), ("/usr", True), ("/usr/share", True), ("/usr/bin", True),
    ("/root", True), ("/root/.ssh", True), ("/var", True), ("/var/lib", True), ("/var/lib/dpkg/info", True),
    ("/var/log/nginx", True), ("/proc/1/root", True), ("/dev/shm", True), ("/run", True), ("/run/systemd/system", True),
    ("/private/etc/x", True), ("/boot/efi", True),
    ("/usr/share/nginx/html", False), ("/usr/share/caddy", False), ("/usr/local/www/nginx", False),
    ("/usr/local/nginx/html", False), ("/opt/homebrew/var/www", False), ("/var/www", False), ("/var/www/html", False),
    ("/var/lib/letsencrypt", False), ("/run/acme", False), ("/srv", False), ("/srv/etc", False), ("/etcetera", False),
    ("/home/me/etc/www", False), ("/Library/WebServer/Documents", False), ("/private/var/www", False),
])
def test_system_directories(path: str, expected: bool) -> None:
    """System directories, and document roots that resemble them."""
    assert safe_directories.is_system_directory(path) == expected
