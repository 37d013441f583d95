"""A restore: a database is made beside the live one, proved there, and takes its place in one step.

What can be restored, and the SQL for it, is decided in rollout/restores.py. Files come back by
files.py.
"""
