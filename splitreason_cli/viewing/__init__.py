"""HTML pages of texts, each with its marked parts: what a report and `srx show --html` share."""
