"""The ways by which the Pulumi CLI and its plugins can get here."""
