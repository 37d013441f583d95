"""The probes: each gathers the evidence of one or two items of the checklist."""
