"""The input of training: histories, their weighting, the catalog, files of events, and rows for COPY."""
