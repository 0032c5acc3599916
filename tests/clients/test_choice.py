"""Which mirror a client ends up with: by where it is, and by what its URL asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.conftest import OWN, Note, OpenTap, Services, each_flavour
from tests.clients.mirrors import Fleet
from tests.clients.programs import Dnf, Librepo, Reader, Reading, Zypper
from tests.clients.service import Flavour, Kind
from tests.clients.sources import PUBLIC
from tests.clients.trees import NEW

GERMAN, FRENCH = PUBLIC
STRANGER, IN_FRANCE = "127.0.0.1", "127.2.0.1"
HAPPY = Reading(0, NEW)

CASES = {
    "in France": (IN_FRANCE, "", HAPPY, [FRENCH]),
    "country=fr from anywhere": (STRANGER, "&country=fr", HAPPY, [FRENCH]),
    "country=DE in France": (IN_FRANCE, "&country=DE", HAPPY, [GERMAN]),
    "protocol=http in France": (IN_FRANCE, "&protocol=http", HAPPY, [FRENCH]),
}


@pytest.mark.parametrize("program", [Dnf, Librepo, Zypper], ids=lambda program: program.__name__.lower())
@pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.value)
@each_flavour(Flavour.MIRRORMANAGER, Flavour.COMPATIBLE)
@pytest.mark.parametrize("case", CASES)
def test_place_and_wish_decide(
    case: str,
    flavour: Flavour,
    kind: Kind,
    program: type[Dnf] | type[Librepo] | type[Zypper],
    services: Services,
    fleet: Fleet,
    open_tap_to: OpenTap,
    home: Path,
    note: Note,
) -> None:
    source, wish, expected, used = CASES[case]
    tap = open_tap_to(services[flavour].address, source)
    reader: Reader = program(home)
    reading = reader.read(kind, f"{tap.url}/{kind.value}?repo=baseos-9&arch=$basearch{wish}")
    note(
        f"{program.__name__.lower():7} {kind.value:10} {flavour.value:13} {case:32} rc {reading.code:<2} "
        f"{reading.version or 'nothing':7} from {fleet.used()}"
    )
    assert (reading, fleet.used()) == (expected, used)


@each_flavour(*OWN)
def test_a_protocol_that_nobody_has_is_relaxed(
    flavour: Flavour, services: Services, open_tap_to: OpenTap, home: Path, note: Note
) -> None:
    tap = open_tap_to(services[flavour].address, STRANGER)
    reading = Dnf(home).read(Kind.METALINK, f"{tap.url}/metalink?repo=baseos-9&arch=$basearch&protocol=https")
    (exchange,) = tap.exchanges()
    note(f"dnf     metalink   {flavour.value:13} protocol=https, which none has: {reading}")
    assert (reading, exchange.headers["x-relaxed"]) == (HAPPY, "protocol")
