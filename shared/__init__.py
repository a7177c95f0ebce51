"""What the services share: messages, seams and the ground they stand on. Imports no service."""

__version__ = "0.1.0"
