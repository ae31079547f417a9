"""The error that a user can mend, the warning about a result, and the end of an interrupted run."""


class UserError(Exception):
    """Something the user can put right: a missing file, a wrong key, weights that do not fit.

    The message is one line that names the file and says what to do. Commands print it without a
    traceback and exit with code 2; every other exception is a bug of this project and shows all.
    """


class PoseWarning(UserWarning):
    """What a user should know of lifted people, in the words of main/predict.py.

    `warnings.simplefilter("ignore", PoseWarning)` silences it.
    """


class Stopped(Exception):
    """Training ended early on a signal, after saving; `code` is the process's exit code."""

    def __init__(self, code: int):
        super().__init__(code)
        self.code = code
