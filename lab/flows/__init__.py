"""The flows: the only code that knows the order of work across packages."""
