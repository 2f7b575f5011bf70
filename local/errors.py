"""Why a command of the local system stops, in words for the person who typed it.

* CommandError          exit code 1   something went wrong while running
  + Refused             exit code 2   the command, a setting or the machine's state does not allow it
"""


class CommandError(Exception):
    """Something went wrong; the message says what, and what to do next."""

    exit_code = 1


class Refused(CommandError):
    """Nothing was started or changed; the message says why, and how to go on."""

    exit_code = 2
