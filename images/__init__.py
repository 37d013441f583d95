"""The container images of the sandbox: what is built here when no image registry answers."""
