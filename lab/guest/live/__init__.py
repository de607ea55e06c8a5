"""A standby process: forms that stay up, and the orders of a show to them."""
