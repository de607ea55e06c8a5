"""The audience page: a server on loopback, one stream of public records, and the page that draws them."""
