"""Training on Apache Spark: the kernels of jobs/models on blocks of items, for shops that outgrow one machine."""
