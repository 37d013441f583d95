"""YTEMPIRE on a Docker host: the whole system on one page.

Configuration and what the host remembers make a plan; the plan and the settings are declared.
"""

from components.system import System, begin
from ops.parent import end_with_parent

# The engine waits until nobody holds its pipes: a program must not outlive its language host.
end_with_parent()
run = begin()
System(run).export()
