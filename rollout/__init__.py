"""What is decided: slots, plans, settings, records. Pure Python: no Pulumi, no I/O."""
