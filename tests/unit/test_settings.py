"""Settings are read once, checked all at once, and never print a secret."""

from pathlib import Path

import pytest

from app.errors import ConfigError
from app.settings import load_settings


def test_defaults_are_the_seeds() -> None:
    settings = load_settings({})
    assert (settings.port, settings.window_size, settings.window_interval, settings.active_window_count) == (
        3000,
        10,
        30.0,
        2,
    )
    assert settings.embedded
    assert settings.rooms == ("default",)


def test_every_bad_value_is_reported_at_once_by_name() -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings({"PORT": "99999", "WINDOW_SIZE": "ten", "REDIS_ADDR": "nowhere", "JWT_SECRET": "short"})
    named = {problem.split(":")[0] for problem in caught.value.problems}
    assert named == {"PORT", "WINDOW_SIZE", "REDIS_ADDR", "JWT_SECRET"}


def test_a_refused_secret_is_not_printed() -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings({"JWT_SECRET": "hunter2", "ADMIN_TOKEN": "swordfish"})
    assert "hunter2" not in str(caught.value)
    assert "swordfish" not in str(caught.value)


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("a-token-from-a-file\n")
    settings = load_settings({"ADMIN_TOKEN_FILE": str(path)})
    assert settings.admin_token is not None
    assert settings.admin_token.get_secret_value() == "a-token-from-a-file"
    with pytest.raises(ConfigError, match="keep one"):
        load_settings({"ADMIN_TOKEN_FILE": str(path), "ADMIN_TOKEN": "another-token-entirely"})


def test_redis_addr_is_the_seeds_form_of_redis_url() -> None:
    assert load_settings({"REDIS_ADDR": "cache:6380"}).store_url == "redis://cache:6380/0"
    with pytest.raises(ConfigError, match="keep one"):
        load_settings({"REDIS_ADDR": "cache:6380", "REDIS_URL": "redis://cache"})


@pytest.mark.parametrize(
    ("env", "kinds"),
    [
        ({}, {"tasks", "locks"}),
        ({"HOST": "0.0.0.0"}, set()),
        ({"REDIS_ADDR": "localhost:6379"}, set()),
        ({"HOST": "0.0.0.0", "OPEN_ROUTES": "tasks"}, {"tasks"}),
    ],
)
def test_routes_are_open_only_where_no_stranger_can_reach_them(env: dict[str, str], kinds: set[str]) -> None:
    assert load_settings(env).open_kinds == kinds
