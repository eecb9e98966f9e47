"""Models, wherever they run: loading, sampling, caches, servers and the connections to them; the pair."""
