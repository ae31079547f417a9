"""Common parts of all commands: arguments, devices, and how errors end a run."""

import argparse
import errno
import io
import sys
from collections.abc import Callable
from pathlib import Path

from lib.config import Config, load_config, parse_set_arguments
from lib.errors import Stopped, UserError

STORAGE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
"""What a full or failing disk raises, wherever something is written."""


def run_command(main: Callable[[], None]) -> None:
    """Run a command's main function and exit: what the user can mend is one line on stderr and code 2.

    `--traceback` on the command line shows such errors whole; any other exception is a bug and always does.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a file name that the terminal cannot show is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    try:
        main()
    except UserError as error:
        if "--traceback" in sys.argv:
            raise
        sys.exit(_fail(f"error: {error}", 2))
    except Stopped as stopped:
        sys.exit(stopped.code)
    except KeyboardInterrupt:
        sys.exit(_fail("interrupted", 130))
    except BrokenPipeError:
        sys.exit(1)
    except OSError as error:
        if error.errno not in STORAGE_ERRORS or "--traceback" in sys.argv:
            raise
        sys.exit(_fail(f"error: {error.filename or 'a file'}: cannot be written ({error.strerror}); make room", 2))


def _fail(message: str, code: int) -> int:
    print(message, file=sys.stderr)
    return code


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """--cfg, --set, --gpu and --traceback."""
    add_configuration_arguments(parser)
    parser.add_argument(
        "--gpu",
        metavar="LIST",
        help="CUDA devices to use, for example 0 or 0,1 (several: DataParallel, the batch is split among them), or cpu; "
        "default: the first CUDA device, or the CPU where there is none",
    )
    add_traceback_argument(parser)


def add_configuration_arguments(parser: argparse.ArgumentParser) -> None:
    """--cfg and --set."""
    parser.add_argument(
        "--cfg", required=True, metavar="FILE", help="YAML configuration, for example one of asset/yaml"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="override one key of the configuration, for example --set TRAIN.batch_size=32; may be repeated",
    )


def add_traceback_argument(parser: argparse.ArgumentParser) -> None:
    """--traceback."""
    parser.add_argument("--traceback", action="store_true", help="show where in the code an error was raised")


def add_weights_argument(parser: argparse.ArgumentParser, default: Path) -> None:
    """--weights."""
    parser.add_argument(
        "--weights",
        metavar="PATH",
        default=default,
        help="checkpoint of this project or of the release, or a folder with one (default: the project's own weights in "
        f"experiment/{default.name})",
    )


def config_of(args: argparse.Namespace) -> Config:
    """The configuration that --cfg and --set describe."""
    return load_config(args.cfg, parse_set_arguments(args.overrides))


def notice(message: str) -> None:
    """A line for the user that is not a result."""
    print(message, file=sys.stderr)
