"""For all tests: no property fails because the machine was busy for a moment. Timings belong in benchmarks."""

from hypothesis import settings

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
