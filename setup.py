"""Packaging of certbot-autowebroot."""
import gzip
import os
import re
import tarfile
from pathlib import Path

from setuptools import find_packages
from setuptools import setup
from setuptools.command.sdist import sdist

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "([^"]+)"', (HERE / "certbot_autowebroot" / "__init__.py").read_text())[1]

#: In a snap of our own, these come from Certbot's snap: the variable is that of Certbot's own plugin snaps.
CERTBOT = [] if os.environ.get("SNAP_BUILD") else ["certbot>=1.21", "acme>=1.21", "josepy"]

#: The project has no published home yet. tools/release.sh wants the links "Source", "Documentation" and "Issues" here.
PROJECT_URLS = {"Certbot": "https://certbot.eff.org/"}


def long_description():
    """README.rst for an index of packages, where a link to a file of the repository leads nowhere."""
    text = (HERE / "README.rst").read_text(encoding="utf-8")
    source = PROJECT_URLS.get("Source")
    if not source:
        return text
    text = re.sub(r"(?<=<)[\w./-]+\.rst(?=>`__)", rf"{source}/blob/v{VERSION}/\g<0>", text)
    return re.sub(r"(?<=image:: )[\w./-]+", rf"{source}/raw/v{VERSION}/\g<0>", text)


class Sdist(sdist):
    """An archive that is the same, byte for byte, wherever it is made from the same files with SOURCE_DATE_EPOCH.

    setuptools heeds that variable in wheels only.
    """

    def make_archive(self, base_name, *arguments, **options):
        """Pack the directory with one time, one owner and the modes that count."""
        epoch = os.environ.get("SOURCE_DATE_EPOCH")
        if epoch is None:
            return super().make_archive(base_name, *arguments, **options)

        def anywhere(member):
            member.mtime = int(epoch)
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mode = 0o755 if member.mode & 0o100 else 0o644
            return member

        name = f"{base_name}.tar.gz"
        with open(name, "wb") as file, gzip.GzipFile("", "wb", fileobj=file, mtime=int(epoch)) as packed, \
                tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
            archive.add(options["base_dir"], filter=anywhere)
        return name


setup(
    cmdclass={"sdist": Sdist},
    name="certbot-autowebroot",
    version=VERSION,
    description="Certbot authenticator that renews whether port 80 is free or taken",
    long_description=long_description(),
    long_description_content_type="text/x-rst",
    author="The certbot-autowebroot developers",
    keywords=["ACME", "Certbot", "Let's Encrypt", "certificate renewal", "http-01", "webroot", "standalone"],
    project_urls=PROJECT_URLS,
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.9",
    packages=find_packages(include=["certbot_autowebroot", "certbot_autowebroot.*"]),
    package_data={"certbot_autowebroot": ["py.typed", "cli/check.schema.json"]},
    # Below the prefix of the environment: /usr in a package of a distribution, /opt/certbot in a virtual environment.
    data_files=[("share/man/man1", ["docs/certbot-autowebroot.1"]),
                ("share/bash-completion/completions", ["packaging/bash-completion/certbot-autowebroot"])],
    # Up to Certbot 2.7 a requirement that pkg_resources does not find stops every certbot command of the user, whatever
    # plugin he uses. So lower bounds only where something older is known to fail, and zope.interface by the spelling
    # that is found: before setuptools 62, pkg_resources wants "." where the file name has "." (zope.interface up to
    # 7.2); before 76 it finds zope_interface-8.dist-info by "-" only. From Python 3.11 on no setuptools is older than
    # 62; below, pip must not bring an 8.
    install_requires=[*CERTBOT, "zope.interface<8; python_version < '3.11'",
                      "zope-interface; python_version >= '3.11'"],
    entry_points={"certbot.plugins": ["autowebroot = certbot_autowebroot.authenticator:Authenticator"],
                  "console_scripts": ["certbot-autowebroot = certbot_autowebroot.cli.__main__:main"]},
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Plugins",
        "Intended Audience :: System Administrators",
        "Operating System :: POSIX",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.9",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Programming Language :: Python :: Implementation :: CPython",
        "Topic :: Internet :: WWW/HTTP",
        "Topic :: Security",
        "Topic :: System :: Systems Administration",
        "Typing :: Typed",
    ],
)
