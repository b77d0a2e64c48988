"""The composition root: everything that a replica is made of, built from `Settings` and closed together."""

from app.services.services import Services, open_services

__all__ = ["Services", "open_services"]
