"""`stanchion simulate crowd`: thousands of visitors of several kinds, and what they can tell of the promises."""
