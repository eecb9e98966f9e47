"""The verb serve: both models behind one OpenAI-compatible endpoint."""
