"""Answer challenges: by a file in another user's directory, or by a listener of this process."""


class PublishError(Exception):
    """The challenge cannot be published there.

    The text is a whole sentence for the user: the path, the obstacle and its owner.
    """


class AlreadyPublishedError(PublishError):
    """The run has already put another file in this place, by another path of the same directory.

    The text is the file's path. It is no error for the user.
    """
