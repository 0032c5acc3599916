"""What a nursery does between loading and forking."""

from __future__ import annotations

import gc

from redirector.server.nursery import nursery


def test_the_collector_works_again_once_everything_is_frozen() -> None:
    gc.disable()
    try:
        nursery._freeze()
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
    finally:
        gc.enable()
        gc.unfreeze()
