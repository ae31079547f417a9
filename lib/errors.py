"""The one error class for what a user can mend."""


class UserError(Exception):
    """Something the user can put right: a missing file, a wrong key, weights that do not fit.

    The message is one line that names the file and says what to do. Commands print it without a
    traceback and exit with code 2; every other exception is a bug of this project and shows all.
    """
