"""A typed client of Aisle's API.

``Aisle`` waits for each answer, ``AsyncAisle`` is for asyncio. Both have one method for each operation of the API,
repeat what is safe to repeat, and raise ``Problem`` for every answer that is an error. ``EventQueue`` and
``AsyncEventQueue`` send events in batches.
"""

from aisle_client import models
from aisle_client.client import Aisle, AsyncAisle
from aisle_client.events import AsyncEventQueue, EventQueue
from aisle_client.problems import AisleError, NoAnswer, Problem

__all__ = ["Aisle", "AisleError", "AsyncAisle", "AsyncEventQueue", "EventQueue", "NoAnswer", "Problem", "models"]
__version__ = "0.1.0"
