"""Text for messages: one line, no terminal control characters, no passwords; counts of things."""

import re
from urllib.parse import parse_qsl, unquote, urlsplit

MOST_CHARACTERS = 600
MOST_OF_A_VALUE = 120
MASK = "***"

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_SECRET_NAME = r"[\w.-]*(?:pass(?:word|wd|phrase)?|pwd|secret|token|key|credential|signature)[\w.-]*"
_IN_AUTHORITY = re.compile(r"([A-Za-z][\w+.-]*://[^\s/@:'\"]*):[^\s'\"]*@")
_AS_USER = re.compile(r"([A-Za-z][\w+.-]*://)(?:[\w-]{20,}|[^\s/@:'\"]+:x-oauth-basic)@")
"""A token in place of a user's name, as GitHub takes it."""
_IN_QUERY = re.compile(rf"([?&;#]{_SECRET_NAME}=)[^\s&;'\"]+", re.IGNORECASE)
_SECRET_WORD = (
    r"[\w.-]*(?:password|passwd|passphrase|pwd|secret)"
    r"|[\w.-]*(?:secret|access|private|api|auth|session)[_-]?(?:key|token)[\w.-]*"
    r"|(?-i:[A-Z][A-Z0-9_]*_(?:TOKEN|KEY|PASS|CREDENTIALS?))"
)
_IN_WORDS = re.compile(
    rf"""((?<![\w.-])(?:{_SECRET_WORD})["']?\s*[=:]\s*["']?)[^\s&;'",)}}]+""", re.IGNORECASE
)
"""`password=`, `"api_key": "`, `HF_TOKEN=`: but not `key=` or `token:`, which mean much else."""
_IN_OPTION = re.compile(r"(--[\w-]*(?:password|token|secret|api-key)[= ])[^\s'\"]+", re.IGNORECASE)
_IN_HEADER = re.compile(r"((?:\bBearer|authorization\W+\w+)\s+)[\w.~+/=-]{6,}", re.IGNORECASE)


def printable(text: str) -> str:
    r"""The text with control characters except line feed and tab escaped: `\x1b` for the start of colour codes."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


def counted(number: int, thing: str) -> str:
    """'1 trial', '2,000 trials'."""
    return f"{number:,} {thing}{'s' * (number != 1)}"


def one_line(text: str) -> str:
    """The text on one line, printable, and shortened in the middle if it is very long."""
    line = printable(" ".join(str(text).split()))
    return _cut(line, MOST_CHARACTERS)


def shown(value: object) -> str:
    """`repr` for an error line; a long value is shortened in the middle."""
    return _cut(repr(value), MOST_OF_A_VALUE)


def masked(text: str) -> str:
    """The text with `***` for the passwords and keys in it: postgresql://me:***@host/name?token=***, api_key: ***."""
    text = _IN_AUTHORITY.sub(rf"\1:{MASK}@", _AS_USER.sub(rf"\1{MASK}@", text))
    for pattern in (_IN_QUERY, _IN_WORDS, _IN_OPTION, _IN_HEADER):
        text = pattern.sub(rf"\1{MASK}", text)
    return text


def holds_secret(text: str) -> bool:
    """Whether `masked` would hide anything in it."""
    return masked(text) != text


def without_secrets_of(url: str, text: str) -> str:
    """`masked`, and with the secrets of `url` hidden anywhere in the text, as errors of drivers may repeat them."""
    for secret in _secrets(url):
        text = text.replace(secret, MASK)
    return masked(text)


def _secrets(url: str) -> set[str]:
    """The secrets as written and decoded, as they may be percent-encoded."""
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
