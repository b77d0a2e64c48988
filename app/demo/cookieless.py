"""A cookie jar that stays empty, for HTTP clients which many visitors' requests go through.

httpx keeps the cookies of every answer and sends them along with the next request: one visitor's pass would become
everybody's.
"""

from http.cookiejar import CookieJar, DefaultCookiePolicy


def no_cookies() -> CookieJar:
    """A jar that takes nothing."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))
