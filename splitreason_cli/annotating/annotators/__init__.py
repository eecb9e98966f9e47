"""Who marks the hard spans of traces."""
