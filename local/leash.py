"""Become another program that cannot outlive its parent.

Run by path in an isolated interpreter (`processes.spawn` does): this file imports nothing of the project. The kernel
sends `--signal` to the program when the thread that started it dies, however it died (Linux; elsewhere parts are
stopped by their parent only).

`--uid` gives up root, for a program that refuses to run as root. `--search` keeps one capability: to pass through
folders that are closed to others. So a state folder beneath /root works without changing any folder's permissions.
"""

import argparse
import ctypes
import os
import sys

PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 8, 47, 2
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2
CAPABILITY_VERSION_3 = 0x20080522


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def check(result: int, call: str) -> None:
    """Raise OSError, naming the system call, if its result says that it failed."""
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{call}: {os.strerror(ctypes.get_errno())}")


def keep_search(libc: ctypes.CDLL) -> None:
    """Keep the narrowest available capability to pass closed folders, through the exec that follows."""
    header, sets = _Header(CAPABILITY_VERSION_3, 0), (_Sets * 2)()
    check(libc.capget(ctypes.byref(header), ctypes.byref(sets)), "capget")
    # many containers have only the wider one, CAP_DAC_OVERRIDE
    available = [number for number in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE) if sets[0].permitted & 1 << number]
    if not available:
        raise OSError("this process has no capability to pass closed folders")
    mask = 1 << available[0]
    sets[0] = _Sets(mask, mask, mask)
    sets[1] = _Sets(0, 0, 0)
    check(libc.capset(ctypes.byref(header), ctypes.byref(sets)), "capset")
    check(libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, available[0], 0, 0), "ambient capability")


def main() -> None:
    """Prepare this process and become the program; exit with 126 and a line on standard error on failure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--signal", type=int, required=True)
    parser.add_argument("--uid", type=int)
    parser.add_argument("--search", action="store_true")
    parser.add_argument("--nice", type=int, default=0)
    parser.add_argument("program", nargs="+")
    chosen = parser.parse_args()
    try:
        linux = sys.platform == "linux"
        libc = ctypes.CDLL(None, use_errno=True) if linux else None
        os.umask(0o077)
        if chosen.nice:
            os.nice(chosen.nice)
        if chosen.uid is not None:
            if chosen.search and libc is not None:
                check(libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), "keep capabilities")
            os.setgroups([])
            os.setgid(chosen.uid)
            os.setuid(chosen.uid)
            if chosen.search and libc is not None:
                keep_search(libc)
        if libc is not None:
            # a change of user clears this setting, so it comes last
            check(libc.prctl(PR_SET_PDEATHSIG, chosen.signal, 0, 0, 0), "parent death signal")
        if os.getppid() != chosen.parent:
            sys.exit(0)  # the parent died before the setting took effect
        os.execv(chosen.program[0], chosen.program)  # noqa: S606 — no shell, as intended
    except OSError as error:
        print(f"cannot start {chosen.program[0]}: {error}", file=sys.stderr)
        sys.exit(126)


if __name__ == "__main__":
    main()
