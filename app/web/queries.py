"""One parameter of an address's query: read, put in, taken out; all else stays as it was written."""

from urllib.parse import quote, unquote_plus


def parameter(address: str, name: str) -> str | None:
    """The value of a parameter, the last where it comes several times; None where it does not come."""
    if name + "=" not in address:
        return None
    query = address.partition("#")[0].partition("?")[2]
    values = [
        value for key, _, value in (pair.partition("=") for pair in query.split("&")) if unquote_plus(key) == name
    ]
    return unquote_plus(values[-1]) if values else None


def with_parameter(address: str, name: str, value: str) -> str:
    """The address with one more parameter, before its fragment."""
    bare, hash_sign, fragment = address.partition("#")
    return f"{bare}{'&' if '?' in bare else '?'}{name}={quote(value, safe='')}{hash_sign}{fragment}"


def without_parameter(address: str, name: str) -> str:
    """The address without a parameter."""
    if name + "=" not in address:
        return address
    bare, hash_sign, fragment = address.partition("#")
    path, _, query = bare.partition("?")
    kept = [pair for pair in query.split("&") if unquote_plus(pair.partition("=")[0]) != name]
    return path + ("?" + "&".join(kept) if kept else "") + hash_sign + fragment
