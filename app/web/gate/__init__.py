"""The gate: one check for each request to a site, asked by its reverse proxy, answered from memory.

`original` finds out what the visitor asked the proxy for, `bypass` who need not wait, `answers` writes what the proxy
gets, and `gate` puts them together. docs/gate.md says what it answers and why.
"""
