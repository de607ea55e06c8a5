"""The order of things across rooms: demo, up, deploy, fetch, doctor."""
