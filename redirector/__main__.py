"""`python -m redirector` is the command `redirector`."""

import sys

from redirector.cli.main import main

sys.exit(main())
