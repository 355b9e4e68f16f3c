"""`rendio demo`: a day in the life of the app on the embedded database, and the proof."""


class DemoError(Exception):
    """The demo cannot go on; says why, and the next command where there is one."""
