"""The commands, each in a module that is loaded when it is called."""
