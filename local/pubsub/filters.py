"""The filter language of subscriptions: an expression over a message's attributes.

Grammar (https://cloud.google.com/pubsub/docs/subscription-message-filter#filtering_syntax):

    expression = term { "AND" term } | term { "OR" term }      the two do not mix without parentheses
    term       = [ "NOT" | "-" ] factor
    factor     = "(" expression ")"
               | "attributes" ":" key
               | "attributes" "." key ( "=" | "!=" ) string
               | "hasPrefix" "(" "attributes" "." key "," string ")"
    key        = word | string                                 a word has letters, digits, "_" and "-"

Keys and values are case-sensitive, operators are upper case, strings take double quotes and backslash escapes.
``attributes.k != "v"`` holds for a message without ``k``: it is the negation of ``=``.
"""

import re
from collections.abc import Callable, Mapping

MAX_FILTER_BYTES = 256

Predicate = Callable[[Mapping[str, str]], bool]

_TOKEN = re.compile(
    r"""\s*(?: (?P<string>"(?:[^"\\]|\\.)*") | (?P<word>[A-Za-z0-9_][A-Za-z0-9_-]*) | (?P<symbol>!=|[-=:.,()]) )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[xX][0-9a-fA-F]{2}|[0-7]{1,3}|.)", re.DOTALL)
_CONTROL = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_OPERATORS = frozenset({"AND", "OR", "NOT"})


class FilterError(ValueError):
    """The text is not a valid filter; the message says where and why."""


def parse_filter(text: str) -> Predicate:
    """Compile a filter to a predicate over attributes. Raises FilterError."""
    if len(text.encode()) > MAX_FILTER_BYTES:
        raise FilterError(f"a filter has at most {MAX_FILTER_BYTES} bytes")
    try:
        return _Parser(text).parse()
    except RecursionError as error:
        raise FilterError("the filter is nested too deeply") from error


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = _tokenize(text)
        self._next = 0

    def parse(self) -> Predicate:
        predicate = self._expression()
        if self._peek():
            raise FilterError(f"unexpected {self._peek()!r}")
        return predicate

    def _expression(self) -> Predicate:
        terms = [self._term()]
        joined_by = self._peek()
        if joined_by not in ("AND", "OR"):
            return terms[0]
        while self._peek() == joined_by:
            self._take()
            terms.append(self._term())
        if self._peek() in ("AND", "OR"):
            raise FilterError("AND and OR need parentheses when they are combined")
        if joined_by == "AND":
            return lambda attributes: all(term(attributes) for term in terms)
        return lambda attributes: any(term(attributes) for term in terms)

    def _term(self) -> Predicate:
        if self._peek() in ("NOT", "-"):
            self._take()
            negated = self._term()
            return lambda attributes: not negated(attributes)
        return self._factor()

    def _factor(self) -> Predicate:
        part = self._take()
        if part == "(":
            inner = self._expression()
            self._expect(")")
            return inner
        if part == "hasPrefix":
            self._expect("(")
            self._expect("attributes")
            self._expect(".")
            key = self._key()
            self._expect(",")
            prefix = self._string()
            self._expect(")")
            return lambda attributes: key in attributes and attributes[key].startswith(prefix)
        if part != "attributes":
            raise FilterError(f"expected a condition on attributes, not {part!r}")
        if self._peek() == ":":
            self._take()
            key = self._key()
            return lambda attributes: key in attributes
        self._expect(".")
        key = self._key()
        operator = self._take()
        if operator not in ("=", "!="):
            raise FilterError(f"expected = or != after the attribute, not {operator!r}")
        value = self._string()
        if operator == "=":
            return lambda attributes: attributes.get(key) == value
        return lambda attributes: attributes.get(key) != value

    def _key(self) -> str:
        token = self._take()
        if token.startswith('"'):
            return _unquote(token)
        if not re.match(r"\w", token) or token in _OPERATORS:
            raise FilterError(f"expected an attribute key, not {token!r}")
        return token

    def _string(self) -> str:
        token = self._take()
        if not token.startswith('"'):
            raise FilterError(f"expected a string in double quotes, not {token!r}")
        return _unquote(token)

    def _peek(self) -> str:
        return self._tokens[self._next] if self._next < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._peek()
        if not token:
            raise FilterError("the filter ends too early")
        self._next += 1
        return token

    def _expect(self, expected: str) -> None:
        token = self._take()
        if token != expected:
            raise FilterError(f"expected {expected!r}, not {token!r}")


def _tokenize(text: str) -> list[str]:
    tokens, position = [], 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if not match:
            raise FilterError(f"unexpected character at {position}: {text[position : position + 10]!r}")
        tokens.append(match[0].lstrip())
        position = match.end()
    return tokens


def _unquote(literal: str) -> str:
    return _ESCAPE.sub(_unescape, literal[1:-1])


def _unescape(match: re.Match[str]) -> str:
    code = match[1]
    try:
        if code[0] in "uUxX" and len(code) > 1:
            return chr(int(code[1:], 16))
        if code[0] in "01234567":
            return chr(int(code, 8))
    except ValueError as error:
        raise FilterError(f"no such character: \\{code}") from error
    if code in "uUxX":
        raise FilterError(f"incomplete escape: \\{code}")
    return _CONTROL.get(code, code)
