"""Code shared by functions and jobs. Nothing here imports ``functions``, ``jobs``, ``local`` or ``delivery``.

``domain`` has rules without I/O, ``clients`` the connections, ``storage`` the SQL statements, ``http`` the common parts
of HTTP functions, ``payments`` the payment providers. See docs/architecture.md.
"""
