"""Everything that can be set from outside. The only package that reads the environment.

Each field is one environment variable of the same name in capitals; secrets also have a `NAME_FILE`
form that names a file to read. One module a group: a new setting goes into its group's class.
"""

from app.settings.client import ClientSettings, load_client_settings
from app.settings.loading import SECRET_FIELDS, Settings, load_settings
from app.settings.types import ROOM_NAME_PATTERN, IPNetwork, is_room_name

__all__ = [
    "ROOM_NAME_PATTERN",
    "SECRET_FIELDS",
    "ClientSettings",
    "IPNetwork",
    "Settings",
    "is_room_name",
    "load_client_settings",
    "load_settings",
]
