"""Traces and metrics of the local system: a receiver of OTLP, what it keeps, and `./aisle trace`."""
