"""Which release is this? The one place that says so, for the package and for what is built of it."""

__version__ = "0.1.0"
