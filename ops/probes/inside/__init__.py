"""Run inside a one-shot container on the host: the standard library only, JSON on stdout."""
