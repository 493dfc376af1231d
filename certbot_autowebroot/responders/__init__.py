"""What answers a challenge: a file in somebody else's directory, or a listener of our own."""


class PublishError(Exception):
    """The challenge cannot be published there.

    The text is a whole sentence for a person: the path, what is in the way, whose it is.
    """
