"""What was sent and what was accepted, as lines of JSON. What is accepted is on the disk before it counts."""

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Accepted:
    """The content of a record."""

    # by event id
    sent_events: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: dict[str, dict[str, Any]] = field(default_factory=dict)
    # by the shopper, who buys once
    sent_orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    # by product; of a price that was sent but not confirmed either may be stored
    prices: dict[int, str] = field(default_factory=dict)
    unconfirmed_prices: dict[int, str] = field(default_factory=dict)
    # ids of messages that can never take effect
    poison: set[str] = field(default_factory=set)

    def add(self, kind: str, fields: Mapping[str, Any]) -> None:
        """Add a line. Raises KeyError for a kind that is unknown."""
        content = dict(fields)
        if kind == "sent_event":
            self.sent_events[content["event_id"]] = content
        elif kind == "event":
            self.events[content["event_id"]] = content
        elif kind == "sent_order":
            self.sent_orders[content["user_id"]] = content
        elif kind == "order":
            self.orders[content["user_id"]] = content
        elif kind == "sent_price":
            self.unconfirmed_prices[content["product_id"]] = content["price"]
        elif kind == "price":
            self.prices[content["product_id"]] = content["price"]
            self.unconfirmed_prices.pop(content["product_id"], None)
        elif kind == "poison":
            self.poison.add(content["message_id"])
        else:
            raise KeyError(kind)


class Record:
    """A file that is only appended to. Several threads may write."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.content = Accepted()
        self._lock = threading.Lock()
        self._file = path.open("ab")

    def sent(self, kind: str, **fields: Any) -> None:
        """Write that something is about to be sent: what is stored of it later was not made up."""
        self._write(f"sent_{kind}", fields, durable=False)

    def accepted(self, kind: str, **fields: Any) -> None:
        """Write what the shop accepted, and wait for the disk. Only then it counts."""
        self._write(kind, fields, durable=True)

    def _write(self, kind: str, fields: dict[str, Any], *, durable: bool) -> None:
        line = json.dumps({"kind": kind, **fields}).encode() + b"\n"
        with self._lock:
            self._file.write(line)
            self._file.flush()
            if durable:
                os.fdatasync(self._file.fileno())
            self.content.add(kind, fields)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read(path: Path) -> Accepted:
    """Return what a file says. A last line that a crash cut off does not count: it was not confirmed."""
    content = Accepted()
    for line in path.read_bytes().split(b"\n")[:-1]:
        fields = json.loads(line)
        content.add(fields.pop("kind"), fields)
    return content
