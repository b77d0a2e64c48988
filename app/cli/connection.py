"""How the operating commands reach the service: `STANCHION_URL` and the operator's token."""

from app.client.api import Api
from app.settings import load_client_settings


def operator_api() -> Api:
    """A client of the service with the operator's token.

    Raises:
        ConfigError: the environment's values cannot be used.
    """
    settings = load_client_settings()
    token = settings.admin_token.get_secret_value() if settings.admin_token else None
    return Api(settings.stanchion_url, token)
