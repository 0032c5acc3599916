"""`python -m redirector` is the command `redirector`."""

import sys

from redirector.cli import main

sys.exit(main())
