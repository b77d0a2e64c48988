"""The operator's dashboard at `/admin`: its pages, its figures, and how they are pushed. docs/dashboard.md describes it."""
