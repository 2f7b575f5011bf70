"""Traces and metrics in OpenTelemetry's terms: off, and without its imports, unless an endpoint is set."""
