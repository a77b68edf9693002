"""The catalogue in force: the API's description merged with the gateway's list."""
