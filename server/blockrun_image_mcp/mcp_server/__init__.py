"""Serves the three tools over the Model Context Protocol."""
