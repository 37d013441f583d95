"""What exists: one Pulumi ComponentResource a file."""
