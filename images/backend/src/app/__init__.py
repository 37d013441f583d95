"""The YTEMPIRE backend of the sandbox: small, but it really serves, stores and works jobs off."""
