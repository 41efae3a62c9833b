"""The subcommands: one module each, with its `command`; `main` imports the one that is called."""
