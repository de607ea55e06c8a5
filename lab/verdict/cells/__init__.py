"""What each cell of a run says, before anything is compared: its rows read again, its gates, its figures, its spans."""
