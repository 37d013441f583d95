"""What is done to a running system: the `ytops` CLI, the steps of a deploy, the switch agent."""
