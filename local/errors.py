"""Why a command of the local system stops, in words for the person who typed it. A message ends with the remedy.

* CommandError          exit code 1   something failed while the command ran
  + Refused             exit code 2   the arguments, a setting or the machine's state do not allow the command
"""


class CommandError(Exception):
    """A failure while the command ran; the message says what failed and what to do next."""

    exit_code = 1


class Refused(CommandError):
    """Nothing was started or changed; the message says why, and what to do next."""

    exit_code = 2
