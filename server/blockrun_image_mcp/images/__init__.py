"""The folder for pictures that come as data."""
