"""The command line: one module per group of commands. It composes the services, and alone may import them."""
