"""Command line: serve until SIGTERM or Ctrl-C. One JSON line per event; errors on standard error."""

import argparse
import gc
import json
import os
import signal
import sys
from pathlib import Path
from typing import TextIO


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m local.pubsub", description="Durable local Pub/Sub server.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8085, help="0 picks a free port (default: %(default)s)")
    parser.add_argument(
        "--state", type=Path, help="SQLite file that keeps messages across restarts (default: in memory)"
    )
    parser.add_argument(
        "--time-factor", type=float, default=1.0, help="back-offs and pauses are so many times shorter (default: 1)"
    )
    parser.add_argument("--ready-file", type=Path, help="file to which host:port is written once the server answers")
    options = parser.parse_args(arguments)

    # gRPC logs to standard error from C; its failures reach us as exceptions
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from local.pubsub import PubSubServer, StartError  # imported after the setting above, which gRPC reads once

    server = PubSubServer(options.host, options.port, options.state, time_factor=options.time_factor)
    signals = {signal.SIGINT, signal.SIGTERM}
    # blocked before the threads start, so that only sigwait below receives them
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        server.start()
    except StartError as error:
        _log(sys.stderr, "ERROR", str(error))
        return 2
    gc.freeze()
    if options.ready_file is not None:
        unfinished = options.ready_file.with_name(options.ready_file.name + ".tmp")
        unfinished.write_text(server.address)
        unfinished.replace(options.ready_file)
    _log(sys.stdout, "INFO", "Pub/Sub is ready", address=server.address)
    received = signal.sigwait(signals)
    server.stop()
    _log(sys.stdout, "INFO", "Pub/Sub has stopped", signal=signal.Signals(received).name)
    return 0


def _log(stream: TextIO, severity: str, message: str, **fields: str) -> None:
    print(json.dumps({"severity": severity, "message": message, **fields}), file=stream, flush=True)


if __name__ == "__main__":
    sys.exit(main())
