"""The only code that knows the order across rooms."""
