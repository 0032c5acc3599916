"""The process of `registry serve`: the store, the listener, and a graceful end."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import sys
from dataclasses import dataclass
from email.utils import parseaddr

from aiohttp import web

from redirector.errors import StoreError
from redirector.health.safety import Safety
from redirector.locate.proxies import trusted_proxies_of
from redirector.model import Network
from redirector.registry.announcing import Post
from redirector.registry.edit.change import House
from redirector.registry.signing import Signer
from redirector.settings.joining import Join
from redirector.settings.mail import Telling
from redirector.settings.oidc import Oidc
from redirector.settings.option import Address
from redirector.settings.web import Web
from redirector.store.opening import open_store
from redirector.web.access import Site
from redirector.web.application import make_application
from redirector.web.effects import Effects
from redirector.web.limits import Limits
from redirector.web.mailing import Postman
from redirector.web.metrics import NOTICES
from redirector.web.pages.render import compile_all, name_geodata
from redirector.web.pages.shown import REFRESHED_S
from redirector.web.whereabouts import Whereabouts

_log = logging.getLogger("redirector.web")

SHUTDOWN_S = 10.0
"""How long what is under way may take when the process is told to end."""


PATIENCE_S = 120
"""How old what visits found may be on a page at most."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the operator settled.

    url      where people reach the pages; "" when it was not said
    telling  who is told what happens
    allowed  addresses that mirrors may have though they are not global
    signer   signs notices of releases; None: nobody does
    """

    settings: Web
    house: House
    url: str
    join: Join
    telling: Telling
    signer: Signer | None = None
    oidc: Oidc | None = None
    allowed: tuple[Network, ...] = ()


COLLECTED_AFTER = 50_000
"""New objects after which Python looks for cycles. By default, every 700, a third of the time goes there whenever the
registry is read anew: all that was read before is looked through again."""


async def serve(database: str, wanted: Wanted) -> int:
    """Answer, and tell people and programs what happens, until SIGTERM or SIGINT. Raises StoreError, OSError."""
    gc.set_threshold(COLLECTED_AFTER)
    logging.basicConfig(stream=sys.stderr, format="redirector: %(levelname)s: %(message)s", level=logging.INFO)
    async with await open_store(database) as store:
        settings, telling = wanted.settings, wanted.telling
        per_minute = settings.api_limit
        site = Site(
            store,
            wanted.house,
            trusted_proxies_of(settings.trusted_proxies),
            Limits(per_minute / 60, per_minute),
            wanted.url or f"http://{settings.web}",
            join=wanted.join,
            sign_up=settings.sign_up,
            oidc=wanted.oidc,
            whereabouts=Whereabouts(settings.geoip, settings.asn),
            sign_key=wanted.signer.public if wanted.signer is not None else "",
            effects=Effects(settings.geoip, settings.asn),
            safety=Safety(wanted.allowed),
        )
        post = Post(
            mails=telling.mail is not None,
            name=parseaddr(telling.mail.sender)[0] if telling.mail is not None else "",
            hooks=telling.hooks,
            pages=site.url,
            cipher=wanted.house.cipher,
            signer=wanted.signer,
            join=wanted.join,
        )
        postman = Postman(store, post, telling, site.now)
        name_geodata(settings.geoip)
        application = make_application(site)
        application[NOTICES] = postman.courier.counts
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=SHUTDOWN_S, auto_decompress=False)
        await runner.setup()
        telling_all = asyncio.ensure_future(postman.run())
        site.shelf.patience_s = PATIENCE_S
        fresh = asyncio.ensure_future(_keep_fresh(site))
        try:
            name = await _listen(runner, settings.web)
            ended = asyncio.Event()
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, ended.set)
            print(f"redirector: registry ready on {name}", file=sys.stderr, flush=True)
            await ended.wait()
        finally:
            telling_all.cancel()
            fresh.cancel()
            await asyncio.wait({telling_all, fresh})
            await runner.cleanup()
    return 0


async def _keep_fresh(site: Site) -> None:
    """Make what the pages show anew before somebody waits for it, until cancelled."""
    await asyncio.to_thread(compile_all)
    while True:
        try:
            async with site.store.read() as connection:
                await site.shelf.refresh(connection, int(site.now()))
        except StoreError as error:
            _log.error("%s", error)
        except Exception:
            _log.exception("the pages could not be made anew")
        await asyncio.sleep(REFRESHED_S)


async def _listen(runner: web.AppRunner, address: Address) -> str:
    """Begin to listen, and return what a client would be given."""
    if address.path is not None:
        await web.UnixSite(runner, address.path).start()
        return f"unix:{address.path}"
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    opened = socket.socket(family)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((address.host, address.port))
    except OSError:
        opened.close()
        raise
    await web.SockSite(runner, opened).start()
    host, port = opened.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
