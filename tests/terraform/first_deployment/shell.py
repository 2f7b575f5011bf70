"""The operator's terminal: one Bash in which every command runs, so that variables last."""

import os
import select
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

DEADLINE_S: Final = 1800


class Shell:
    """A Bash as a context manager. ``folder`` is a new one for the commands and what they print."""

    def __init__(self, folder: Path, start: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.start = start
        self.environment = environment

    def __enter__(self) -> Self:
        self.codes, inside = os.pipe()
        self.process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            stdin=subprocess.PIPE,
            cwd=self.start,
            env=dict(self.environment) | {"CODES": str(inside)},
            pass_fds=(inside,),
        )
        os.close(inside)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.communicate()
        os.close(self.codes)

    def run(self, command: str, typed: str) -> tuple[str, int]:
        """Return what a command printed, and its exit code. ``typed`` is its standard input."""
        assert self.process.stdin is not None
        files = {name: self.folder / name for name in ("command", "typed", "output")}
        files["command"].write_text(f"{command}\n")
        files["typed"].write_text(typed)
        line = f". {files['command']} < {files['typed']} > {files['output']} 2>&1; echo $? >&$CODES\n"
        self.process.stdin.write(line.encode())
        self.process.stdin.flush()
        if not select.select([self.codes], [], [], DEADLINE_S)[0]:
            raise TimeoutError(f"no end after {DEADLINE_S} s: {command}")
        code = os.read(self.codes, 100).decode().strip()
        output = files["output"].read_text()
        if not code:
            raise ValueError(f"the shell ended with this command: {command}\n{output}")
        return output, int(code)
