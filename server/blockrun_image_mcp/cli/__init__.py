"""The commands; a command's module is loaded when it is called."""
