"""What a show reports, record by record, and what keys ask of it."""
