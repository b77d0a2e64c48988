"""Clients of the HTTP API, for programs and for the command line."""
