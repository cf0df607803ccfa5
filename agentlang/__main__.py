"""`python -m agentlang` is the command line."""

import sys

from .cli.start import main

sys.exit(main())
