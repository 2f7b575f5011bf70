"""Tests of jobs/spark."""
