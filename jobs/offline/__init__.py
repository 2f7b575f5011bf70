"""Measuring recommendations: splits of a history in time, the serving formula over arrays, metrics, the report."""
