"""How often somebody may try to log in, so that nobody guesses and nobody is locked out. Pure.

Who guesses is slowed by his network, and by the account together with it. Guesses at one account from everywhere are
slowed, too; but a browser that has logged in as that account has an allowance of its own, and a link by mail works
always.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from redirector.registry.rules import login_key, name_key
from redirector.web.limits import Limits

COST = 1.0


@dataclass(frozen=True, slots=True)
class Attempts:
    """Allowances. Rates are a second."""

    network: Limits = field(default_factory=lambda: Limits(20 / 60, 40))
    pair: Limits = field(default_factory=lambda: Limits(2 / 60, 8))
    account: Limits = field(default_factory=lambda: Limits(2 / 60, 60))
    device: Limits = field(default_factory=lambda: Limits(2 / 60, 12))
    mails: Limits = field(default_factory=lambda: Limits(3 / 3600, 3))
    mails_network: Limits = field(default_factory=lambda: Limits(30 / 3600, 20))

    def log_in(self, login: str, network: str, device: str, now: float) -> float:
        """0 when it may be tried, else the seconds until then.

        login   as it was typed, whether there is such an account or not
        device  of a browser that is known to have logged in so; "" for others
        """
        who = login_key(login)
        if device:
            return self.device.take(f"{who}\0{device}", now, COST)
        wait_s = self.network.take(network, now, COST)
        wait_s = wait_s or self.pair.take(f"{who}\0{network}", now, COST)
        return wait_s or self.account.take(who, now, COST)

    def send_mail(self, address: str, network: str, now: float) -> tuple[float, bool]:
        """(Seconds that the network must wait, whether a mail goes to *address*): nobody's box is filled by others."""
        wait_s = self.mails_network.take(network, now, COST)
        return wait_s, not wait_s and not self.mails.take(name_key(address), now, COST)
