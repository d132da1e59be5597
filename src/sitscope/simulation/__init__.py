"""A scene whose key dates are known by construction."""
