"""The verb annotate: the hard spans of reasoning traces."""
