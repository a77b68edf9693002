"""What each protocol version has, by the changelogs of the MCP specification."""

from mcp_types.version import is_version_at_least


def has_annotations(version: str) -> bool:
    """Return whether tools carry annotations, and progress a message."""
    return is_version_at_least(version, "2025-03-26")


def has_titles(version: str) -> bool:
    """Return whether tools, resources and servers carry a title."""
    return is_version_at_least(version, "2025-06-18")


def has_structured_results(version: str) -> bool:
    """Return whether tools have output schemas, and their results structured content."""
    return is_version_at_least(version, "2025-06-18")
