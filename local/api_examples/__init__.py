"""Examples of requests and answers in the API's description, recorded from a running system of a small shop."""
