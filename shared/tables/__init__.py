"""One set of rules for tables that shops write: event histories and catalogs, as CSV or JSON lines.

``POST /products/import`` and the jobs read through these modules; what reads Parquet or whole columns is in
``jobs/data`` and applies the same rules. The package needs no pandas and no pyarrow: the function ``products``
imports it.

* ``csv_files``  encoding, separator, line ends and records of a CSV
* ``columns``    which column of a file is which field: aliases, and a mapping that the caller gives
* ``values``     ids, numbers and event types
* ``times``      time formats, units and time zones
* ``products``   rows of a catalog as products, or what is wrong with them
* ``reports``    how many rows were left out, why, and where the first of them are
"""
