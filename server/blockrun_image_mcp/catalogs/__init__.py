"""The catalogue in force: what the API's description has, joined with what the gateway lists."""
