"""What flows between the verbs: a frozen dataclass for each kind of record, and the tags in their text. Pure."""
