"""The one exception the command line shows to a person."""


class CommandError(Exception):
    """What went wrong and what to do about it, in one line for the terminal; never a traceback."""
