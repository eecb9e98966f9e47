"""The heart: one completion by two models as a state machine, its budget, its policies. Pure."""
