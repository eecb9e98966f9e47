"""Drivers: they run the heart on models, in lockstep here or pipelined over servers."""
