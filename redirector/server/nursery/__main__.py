"""`python -m redirector.server.nursery` is a nursery.

Hardly anything that it imports and loads becomes garbage, and the collector would look through it again and again.
"""

import gc

gc.disable()

from redirector.server.nursery.nursery import main  # noqa: E402  # imports alone are a third of what there is to look at

main()
