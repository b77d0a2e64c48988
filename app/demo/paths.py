"""Which paths everybody reads alike. Pure."""

_ODD = ("//", "\\", ";", "%", "\0")
"""Nothing that a plain path holds once it is decoded."""


def is_plain(path: str) -> bool:
    """Whether a decoded path means the same to every server behind: no steps, nothing encoded twice, no oddities."""
    return not any(odd in path for odd in _ODD) and not any(segment in (".", "..") for segment in path.split("/"))
