"""The state of one phone, and one function per Android command."""
