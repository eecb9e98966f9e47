"""What is kept: content-addressed artifacts, resumable work, paid replies; files in and out."""
