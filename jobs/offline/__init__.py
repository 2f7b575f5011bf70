"""Offline evaluation: splits of a history, snapshots of a shop, the serving formula over arrays, and metrics."""
