"""The gateway's image API over HTTP."""
