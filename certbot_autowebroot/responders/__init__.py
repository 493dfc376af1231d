"""What answers a challenge: a file in somebody else's directory, or a listener of our own."""


class PublishError(Exception):
    """The challenge cannot be published there.

    The text is a whole sentence for a person: the path, what is in the way, whose it is.
    """


class AlreadyPublishedError(PublishError):
    """The directory is one that this run has put its file into already, by another path: it need not be tried twice.

    The text is the file's path; nobody has to be told.
    """
