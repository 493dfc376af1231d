"""Text that is safe on root's terminal."""


def printable(text: str) -> str:
    """Names of programs and files, and configurations, are other people's: what is in them must not move the cursor.

    Nor may it begin a line that we have not written.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii") for c in text)
