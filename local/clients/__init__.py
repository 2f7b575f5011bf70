"""The clients in clients/, generated from the API's description: ``./aisle clients``."""
