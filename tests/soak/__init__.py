"""Mixed traffic for half an hour, with faults and restarts, and what must be true at the end of it:
`python -m tests.soak`.
"""

import sys

from tools.layout import SOURCES

if str(SOURCES) not in sys.path:
    sys.path.insert(0, str(SOURCES))
