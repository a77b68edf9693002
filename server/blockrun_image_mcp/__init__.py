"""How the tools are served over MCP, and how they reach the world."""
