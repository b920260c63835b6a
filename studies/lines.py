"""What a message may contain: one line, no terminal control characters, no password; things counted."""

import re
from urllib.parse import parse_qsl, unquote, urlsplit

MOST_CHARACTERS = 600
MOST_OF_A_VALUE = 120
MASK = "***"

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_SECRET_NAME = r"[\w.-]*(?:pass(?:word|wd|phrase)?|pwd|secret|token|key|credential|signature)[\w.-]*"
_IN_AUTHORITY = re.compile(r"([A-Za-z][\w+.-]*://[^\s/@:'\"]*):[^\s'\"]*@")
_IN_QUERY = re.compile(rf"([?&;]{_SECRET_NAME}=)[^\s&;'\"]+", re.IGNORECASE)
_IN_WORDS = re.compile(r"(\b(?:password|passwd|pwd)\s*=\s*)[^\s&;'\",)]+", re.IGNORECASE)


def printable(text: str) -> str:
    r"""The text with each control character but line feed and tab as its escape: `\x1b` for what begins colours."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


def counted(number: int, thing: str) -> str:
    """'1 trial', '2,000 trials'."""
    return f"{number:,} {thing}{'s' * (number != 1)}"


def one_line(text: str) -> str:
    """The text on one line, printable, and cut in its middle where it is very long."""
    line = printable(" ".join(str(text).split()))
    return _cut(line, MOST_CHARACTERS)


def shown(value: object) -> str:
    """`repr` for an error line; a long value is cut in its middle."""
    return _cut(repr(value), MOST_OF_A_VALUE)


def masked(text: str) -> str:
    """The text with `***` for the passwords and keys of the URLs in it: postgresql://me:***@host/name?token=***."""
    text = _IN_AUTHORITY.sub(rf"\1:{MASK}@", text)
    return _IN_WORDS.sub(rf"\1{MASK}", _IN_QUERY.sub(rf"\1{MASK}", text))


def holds_secret(text: str) -> bool:
    """Whether `masked` has something to hide in it."""
    return masked(text) != text


def without_secrets_of(url: str, text: str) -> str:
    """`masked`, and the secrets of `url` hidden wherever they stand in the text, as a driver's error repeats them."""
    for secret in _secrets(url):
        text = text.replace(secret, MASK)
    return masked(text)


def _secrets(url: str) -> set[str]:
    """As they are written, and as they are meant: percent-encoded or not."""
    try:
        parts = urlsplit(url)
        found = [parts.password or ""]
    except ValueError:
        return set()
    found += [
        value for name, value in parse_qsl(parts.query) if re.fullmatch(_SECRET_NAME, name, re.IGNORECASE)
    ]
    return {form for secret in found for form in (secret, unquote(secret)) if form}


def _cut(text: str, most: int) -> str:
    half = most // 2 - 1
    return text if len(text) <= most else f"{text[:half]} … {text[-half:]}"
