"""``python -m claimbench`` is the command line."""

import sys

from claimbench.commands.main import main

sys.exit(main())
