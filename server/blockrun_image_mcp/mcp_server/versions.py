"""The features of each protocol version, by the changelogs of the MCP specification."""

from mcp_types.version import is_version_at_least


def has_annotations(version: str) -> bool:
    """Return whether tools have annotations, and progress notifications a message."""
    return is_version_at_least(version, "2025-03-26")


def has_titles(version: str) -> bool:
    """Return whether tools, resources and servers have a title."""
    return is_version_at_least(version, "2025-06-18")


def has_structured_results(version: str) -> bool:
    """Return whether tools have output schemas, and results structured content."""
    return is_version_at_least(version, "2025-06-18")
