"""YTEMPIRE on a Docker host: the whole system on one page; and, as a stack of its own, the store of
its backups.

Configuration and what the host remembers make a plan; the plan and the settings are declared.
"""

import pulumi

from ops.parent import end_with_parent
from rollout.names import store_of

# The engine waits until nobody holds its pipes: a program must not outlive its language host.
end_with_parent()
if store_of(pulumi.get_stack()):
    from components import store  # AWS's package takes long to import: a deploy does without it

    store.Store(store.begin()).export()
else:
    from components import system

    system.System(system.begin()).export()
