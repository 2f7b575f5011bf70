"""What functions and jobs share. Nothing here imports ``functions``, ``jobs``, ``local`` or ``delivery``.

``domain`` has rules without I/O, ``clients`` the connections, ``storage`` the statements, ``http`` what HTTP functions
have in common, ``payments`` the payment providers. See docs/architecture.md.
"""
