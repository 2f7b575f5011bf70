"""What telemetry costs: `python -m benchmarks.telemetry`. Processor time, so that a busy machine changes little."""

import logging
import os
import subprocess
import sys
import time
from typing import Final

SPANS: Final = 20_000
IMPORT: Final = """
import time
begun = time.process_time()
from shared.telemetry import exporting
exporting.tracer()
print(time.process_time() - begun)
"""
# nothing listens there: spans are dropped, as they are while a receiver is away
ENDPOINT: Final = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_BSP_SCHEDULE_DELAY": "3600000"}


def microseconds_per_span() -> float:
    """Return the processor time of a span with four attributes, with the settings of this process."""
    from shared.telemetry import spans

    begun = time.process_time()
    for _ in range(SPANS):
        with spans.span("GET", "server", {"a": 1, "b": "b"}) as span:
            span.set("c", 200)
            span.set("d", "hit")
    return (time.process_time() - begun) / SPANS * 1e6


def main() -> None:
    """Print the cost of a span while telemetry is off and on, and of the import that comes with the first."""
    from shared.clients import reset

    off = microseconds_per_span()
    own = os.environ | ENDPOINT
    imported = subprocess.run(
        [sys.executable, "-P", "-c", IMPORT + "import os; sys = __import__('sys'); sys.stdout.flush(); os._exit(0)"],
        env=own,
        capture_output=True,
        text=True,
        check=True,
    )
    os.environ.update(ENDPOINT)
    # of the exporter, which finds no receiver
    logging.disable()
    reset()
    on = microseconds_per_span()
    print(f"a span while off      {off:8.2f} µs")
    print(f"a span while on       {on:8.2f} µs  ({on / off:.0f} ×)")
    print(f"import with the first {float(imported.stdout) * 1000:8.0f} ms")
    sys.stdout.flush()
    # the library would wait for its receiver
    os._exit(0)


if __name__ == "__main__":
    main()
