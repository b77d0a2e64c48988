"""HTTP: the only package that knows Starlette."""
