"""The program of a batch on a real Spark: skipped without pyspark or Java."""
