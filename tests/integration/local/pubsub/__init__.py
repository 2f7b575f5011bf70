"""One suite for two servers: the embedded Pub/Sub does what Google's emulator does.

A test takes ``client`` where both behave alike, ``embedded`` where Google's emulator lacks what the service has; its
docstring then says what the emulator does instead (seen with its version 0.8.20).
"""
