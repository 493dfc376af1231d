"""Coverage-guided fuzzing: ``python -m tests.fuzz.atheris --target nginx [--corpus DIR] -runs=100000 -max_len=4096``.

Only this needs atheris (``pip install atheris``: wheels for CPython on x86-64 Linux). Other options go to libFuzzer.
Its time limit is far beyond the package's own, which is a finding like any other; without one, atheris takes the end of
each second for a time-out.
"""
import argparse
import os
import sys
import tempfile

try:
    import atheris
except ImportError:
    sys.exit("atheris is not installed here: python -m pip install atheris. "
             "python -m tests.fuzz needs nothing and mutates the same inputs without looking at the coverage.")

with atheris.instrument_imports(include=["certbot_autowebroot", "json", "http.client"]):
    from tests.fuzz.findings import tried
    from tests.fuzz.targets import TARGETS

from tests.fuzz.seeds import seeds
from tests.fuzz.seeds import words


def main() -> None:
    """Hand over to libFuzzer, which does not return."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.atheris", description=__doc__)
    parser.add_argument("--target", choices=list(TARGETS), required=True)
    parser.add_argument("--corpus", default="", help="a directory that is kept from run to run")
    given, rest = parser.parse_known_args()
    corpus = given.corpus or tempfile.mkdtemp(prefix=f"fuzz-{given.target}-")
    os.makedirs(corpus, exist_ok=True)
    for number, seed in enumerate(seeds(given.target)):
        with open(os.path.join(corpus, f"seed{number}"), "wb") as file:
            file.write(seed)
    dictionary = corpus.rstrip("/") + ".dict"
    with open(dictionary, "w", encoding="ascii") as file:
        for word in words(given.target):
            file.write('"' + "".join(f"\\x{byte:02x}" for byte in word[:64]) + '"\n')

    def one(data: bytes) -> None:
        finding = tried(TARGETS[given.target], data)
        if finding:
            raise AssertionError(str(finding))
    atheris.Setup([sys.argv[0], *rest, "-timeout=60", f"-dict={dictionary}", corpus], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
