"""For every test: signals as a terminal gives them.

A shell starts its background jobs with SIGINT ignored, and each child inherits that; the programs
under test, and the stubs in their place, must hear a Ctrl-C there too.
"""

import signal

signal.signal(signal.SIGINT, signal.default_int_handler)
