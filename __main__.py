"""YTEMPIRE on a Docker host: the whole system on one page.

Configuration and what the host remembers make a plan; the plan and the settings are declared.
"""

from components.system import System, begin

run = begin()
System(run).export()
