"""Where the figures of operations come from: the local system's telemetry, or Cloud Monitoring."""
