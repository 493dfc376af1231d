"""Text that is safe on root's terminal."""


def printable(text: str) -> str:
    """Escape control characters.

    Other users name programs and files and write configurations. Their text must not move the cursor, nor begin a line
    that looks like one of certbot's.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii") for c in text)
