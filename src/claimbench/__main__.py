"""``python -m claimbench`` is the command line."""

import sys

from claimbench.cli import main

sys.exit(main())
