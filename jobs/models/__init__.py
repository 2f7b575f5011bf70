"""Item-to-item algorithms: arrays in, arrays out. ``registry`` lists them; none reads a database or a file."""
