"""The rules of a shop and its recommendations, without I/O. May import ``shared.errors``; never clients or storage."""
