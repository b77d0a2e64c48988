"""Store URLs are taken apart before anything starts; a bad one is refused by name and never repeated."""

import pytest

from app.errors import ConfigError
from app.settings import load_settings
from app.store_url import StoreAddress, parse_store_url


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://cache", StoreAddress("redis", False, (("cache", 6379),))),
        ("redis://:pa%40ss@cache:6380/3", StoreAddress("redis", False, (("cache", 6380),), password="pa@ss", db=3)),
        ("redis://[::1]:6380", StoreAddress("redis", False, (("::1", 6380),))),
        ("rediss://u:p@cache", StoreAddress("redis", True, (("cache", 6379),), username="u", password="p")),
        (
            "rediss://cache?ca=/etc/ca.pem&check_hostname=no",
            StoreAddress("redis", True, (("cache", 6379),), query={"ca": "/etc/ca.pem", "check_hostname": "no"}),
        ),
        (
            "unix:///run/valkey.sock?db=2",
            StoreAddress("unix", False, (), db=2, service="/run/valkey.sock", query={"db": "2"}),
        ),
        (
            "redis+sentinel://a,b:26380/main/1",
            StoreAddress("sentinel", False, (("a", 26379), ("b", 26380)), db=1, service="main"),
        ),
        ("rediss+cluster://a:7000,b:7001", StoreAddress("cluster", True, (("a", 7000), ("b", 7001)))),
    ],
)
def test_every_form_says_where_and_how(url: str, address: StoreAddress) -> None:
    assert parse_store_url(url) == address


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://cache", "must start with"),
        ("redis:cache", "must start with"),
        ("redis://", "names no host"),
        ("redis://a,b", "several hosts"),
        ("redis://cache:swordfish", "port"),
        ("redis://cache:99999", "port"),
        ("redis://u:sword#fish@cache", "%23"),
        ("redis://cache/swordfish", "database"),
        ("redis://cache/0/1", "database"),
        ("redis://cache?swordfish_=1", "not known"),
        ("redis://cache?ca=/x", "rediss"),
        ("rediss://cache?cert=/x", "go together"),
        ("rediss://cache?check_hostname=maybe", "yes or no"),
        ("redis+sentinel://a:26379", "service"),
        ("redis+cluster://a/1", "database 0"),
        ("unix://", "socket"),
        ("unix://host/run/x.sock", "no host"),
        ("redis://[::1", ""),
        ("redis://:6379", "without a host"),
    ],
)
def test_a_bad_url_is_refused_at_start_by_name_without_repeating_it(url: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings({"REDIS_URL": url, "PORT": "x"})
    (problem,) = [problem for problem in caught.value.problems if problem.startswith("REDIS_URL: ")]
    assert why in problem
    assert len(caught.value.problems) == 2
    assert "swordfish" not in problem.replace("swordfish_", "")


def test_a_tls_file_that_is_not_there_is_told_at_start() -> None:
    with pytest.raises(ConfigError, match="REDIS_URL: the file of its ca option is not there"):
        load_settings({"REDIS_URL": "rediss://cache?ca=/no/such/ca.pem"})
