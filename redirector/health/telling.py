"""After each round: what is to be told goes into the outbox, in one transaction with what is remembered of it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from email.utils import parseaddr
from urllib.parse import quote

import msgspec

from redirector.health.evidence import Evidence
from redirector.health.keeping import unpack_evidence
from redirector.health.notices import LOG_LINES, Memo, Mirror, Notice, decide, message_of, write_letter
from redirector.health.report import HostHealth
from redirector.health.round import Round
from redirector.health.send import Courier, empty, keep_empty
from redirector.health.subjects import Subject
from redirector.settings.mail import Telling, is_mail_address
from redirector.store import evidence as kept
from redirector.store import outbox
from redirector.store.opening import Store
from redirector.store.outbox import Parcel

log = logging.getLogger("redirector.health")

FLUSH_S = 90.0
"""How long a single round waits at its end for what it told to go out; the rest goes with the next."""


class Teller:
    """Tells mirrors' admins, and programs, what rounds found.

    pages  where people reach the pages; None: nowhere
    pace   of the crawl: rehearsals tell sooner
    """

    def __init__(
        self,
        store: Store,
        telling: Telling,
        pages: str | None,
        agent: str,
        now: Callable[[], float],
        pace: float = 1.0,
    ) -> None:
        self._store = store
        self._telling = telling
        self._pages = pages
        self._pace = pace
        self._now = now
        self._courier = Courier(telling.mail, telling.hooks, agent=agent, now=now)
        self._wake = asyncio.Event()

    @property
    def counts(self) -> Mapping[tuple[str, str], int]:
        """(kind, outcome) -> attempts to deliver."""
        return self._courier.counts

    async def tell(self, made: Round) -> int:
        """Decide what is to be told of a round, and put it into the outbox. Returns how many. Raises StoreError.

        A host that nobody is told of, for want of addresses and hooks, is remembered all the same.
        """
        if made.void or not made.entries or made.world is None:
            return 0
        known = {subject.key: subject for subject in made.world.subjects}
        mirrors = [_mirror_of(known[key], entry) for key, entry in made.entries.items() if key in known]
        now = int(self._now())
        async with self._store.lock("notices", wait_s=None), self._store.write() as connection:
            memos = {
                host: msgspec.json.decode(text, type=Memo)
                for host, text in (await outbox.find_memos(connection)).items()
            }
            changed, notices = decide(mirrors, memos, now, pace=self._pace)
            parcels: list[Parcel] = []
            for notice in notices:
                texts = await kept.find_evidence(connection, notice.host, LOG_LINES)
                seen = [unpack_evidence(text) for text in texts]
                parcels += self._parcels(notice, known[notice.host], seen)
            await outbox.put_memos(
                connection, {host: msgspec.json.encode(memo).decode() for host, memo in changed.items()}
            )
            await outbox.put(connection, parcels, now)
        for notice in notices:
            log.info("%s: told that it is %s", notice.name, notice.kind)
        if parcels:
            self._wake.set()
        return len(notices)

    async def run(self) -> None:
        """Deliver what is in the outbox, until cancelled."""
        await keep_empty(self._store, self._courier, self._now, self._wake)

    async def flush(self) -> None:
        """Deliver what is due now, within bounded time. Raises StoreError."""
        try:
            async with asyncio.timeout(FLUSH_S):
                await empty(self._store, self._courier, self._now)
        except TimeoutError:
            log.warning("not all that was to be told went out; the next round goes on with it")

    def _parcels(self, notice: Notice, subject: Subject, seen: list[Evidence]) -> list[Parcel]:
        pages = f"{self._pages}/mirrors/{quote(subject.name, safe='')}" if self._pages else None
        message = json.dumps(message_of(notice, pages), ensure_ascii=False)
        name = f"{notice.kind}:{notice.at}:{notice.host}"
        parcels = []
        if self._telling.mail is not None:
            distribution = parseaddr(self._telling.mail.sender)[0]
            letter = write_letter(notice, seen, distribution, pages)
            for address in dict.fromkeys(subject.contacts):
                if is_mail_address(address):
                    parcels.append(self._parcel(name, "mail", notice, address, letter.text, letter.subject))
                else:
                    log.warning("%s: no mail address: %r", notice.name, address)
        for hook in self._telling.hooks:
            if hook.wants(notice.kind):
                parcels.append(self._parcel(name, "webhook" if hook.url else "command", notice, hook.target, message))
        return parcels

    def _parcel(self, name: str, channel: str, notice: Notice, target: str, body: str, subject: str = "") -> Parcel:
        digest = hashlib.blake2b(f"{name}\0{channel}\0{target}".encode(), digest_size=16).hexdigest()
        return Parcel(digest, channel, notice.kind.value, notice.host, target, body, subject)


def _mirror_of(subject: Subject, entry: HostHealth) -> Mirror:
    return Mirror(
        key=subject.key,
        name=subject.name,
        state=entry.state,
        since=entry.since,
        reason=entry.reason,
        site=subject.site,
        maintenance=subject.maintenance or subject.off,
        pulls_from=subject.pulls_from,
        certificate_made=entry.certificate_made,
        certificate_expires=entry.certificate_expires,
    )
