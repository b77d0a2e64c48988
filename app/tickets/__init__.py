"""Tickets: signing keys and the JWTs they sign. The only package that knows JWTs."""
