"""One set of rules for tables that shops write: event histories and catalogs, as text.

``POST /products/import`` and the jobs read through these modules; what reads Parquet or whole columns is in
``jobs/data`` and applies the same rules. The package needs no pandas and no pyarrow: the function ``products``
imports it.

* ``text_files``      encoding and lines of a text file
* ``csv_files``       separator, decimal mark and records of a CSV
* ``json_lines``      one object a line
* ``xml_feeds``       items of RSS, entries of Atom
* ``json_ld``         schema.org's products
* ``columns``         which column of a file is which field: aliases, and a mapping that the caller gives
* ``presets``         the exports of shop systems: their columns, and how they are detected
* ``shop_systems``    how the rows of shop systems become products
* ``values``          ids, numbers and event types
* ``money``           prices with a currency
* ``markup``          HTML as plain text
* ``offers``          sale prices, and stock in words
* ``times``           time formats, units and time zones
* ``product_values``  a row as a product, or what is wrong with it
* ``products``        catalogs as rows
* ``reports``         how many rows were left out, why, and where the first of them are
"""
