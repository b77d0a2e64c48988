"""The one reading of a path that every server shares, or none.

A rule that lets paths through is only as good as the agreement between gate and site on what the path is. Servers part
over dot segments, doubled slashes, encoded slashes, what is encoded twice, `;` and what follows it, backslashes, and
bytes that are no characters. So a path with any of these has no reading here, and no rule can match it: its visitor
waits like everybody else.
"""

import re
from unicodedata import normalize
from urllib.parse import unquote_to_bytes

MAX_PATH = 512
"""Characters; no longer path is compared with rules."""

_PLAIN = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,=:@-]*)+")
_ENCODED = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,=:@|^{}\[\]-]|%[0-9A-Fa-f]{2})*)+")
_NOT_ALIKE = re.compile(r"//|[\x00-\x1f\x7f%;\\?#]|/[. ]+(?:/|$)")
"""Empty segments, control characters, marks that mean something to some, segments of dots and spaces."""


def readable_path(uri: str) -> str | None:
    """The path of a request target, decoded once; None when servers might read it differently.

    Args:
        uri: as the client sent it, such as `/assets/a%20b.css?v=2`.
    """
    path = uri.partition("?")[0]
    if len(path) > MAX_PATH:
        return None
    if not _PLAIN.fullmatch(path):
        if not _ENCODED.fullmatch(path) or "%2f" in path.lower():
            return None
        try:
            path = unquote_to_bytes(path).decode()
        except UnicodeDecodeError:
            return None
        if normalize("NFKC", path) != path:  # a full-width dot is a dot to some
            return None
    return None if _NOT_ALIKE.search(path) else path
