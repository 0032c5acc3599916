"""Signing up, logging in, links, sessions: as people do it, and as attackers try."""

from __future__ import annotations

import pytest

from redirector.registry.edit import accounts, sites
from redirector.registry.permits import OPERATOR
from redirector.registry.refusals import Invalid
from redirector.registry.secrets import is_password
from redirector.store.tables.login import session
from redirector.web.access import SITE
from redirector.web.login import passwords
from redirector.web.login.attempts import Attempts
from redirector.web.login.marks import Marks, is_same_origin, safe_target
from redirector.web.login.passwords import refuse_password
from tests.registry.rig import Registry
from tests.web.browser import PASSWORD, Browser, letters, link_of, signed_up
from tests.web.conftest import Api, serving


async def account(api: Api, login: str = "ann", mail: str = "ann@example.org") -> str:
    """An account with a password; its one-time link was used."""
    async with api.registry.change(OPERATOR) as change:
        row = await accounts.save_account(change, {"login": login, "mail": mail})
        await accounts.use_link(change, await accounts.make_link(change, row), PASSWORD)
    return login


async def logged_in(api: Api, login: str = "ann") -> Browser:
    """A browser of *login*."""
    browser = Browser(api)
    await browser.get("/login")
    await browser.send("/login", login=login, password=PASSWORD)
    assert browser.path == "/sites", browser.text
    return browser


async def test_somebody_signs_up_verifies_his_address_and_is_logged_in(api: Api) -> None:
    browser = await signed_up(api, "ann")
    await browser.get("/account")
    assert "ann@example.org" in browser.text and "Not verified" not in browser.text


async def test_login_and_logout(api: Api) -> None:
    await account(api)
    browser = await logged_in(api)
    old = dict(browser.cookies)
    await browser.send("/logout")
    await browser.get("/account")
    assert browser.path.startswith("/login?next=/account")
    browser.cookies = old
    await browser.get("/account")
    assert browser.path.startswith("/login"), "the session is gone in the store, too"


async def test_the_mail_address_will_do_and_case_does_not_matter(api: Api) -> None:
    await account(api)
    for name in ("ANN", "ann@example.org"):
        await logged_in(api, name)


async def test_what_is_wrong_is_not_told(api: Api) -> None:
    await account(api)
    told = set()
    wrong = (("ann", "no"), ("nobody", PASSWORD), ("ann", ""), ("", ""), ("x@example.org", "x"), ("ann", "x" * 5000))
    for login, password in wrong:
        browser = Browser(api)
        await browser.get("/login")
        await browser.send("/login", login=login, password=password)
        assert browser.status == 403 and "Login or password is wrong." in browser.text
        assert "session" not in browser.cookies
        told.add(browser.text.replace(f'value="{login}"', 'value=""').replace(browser.csrf, ""))
    assert len(told) == 1


async def test_a_disabled_account_is_out_at_once(api: Api) -> None:
    await account(api)
    browser = await logged_in(api)
    await api.registry.do(accounts.save_account, {"login": "ann", "disabled": True})
    await browser.get("/account")
    assert browser.path.startswith("/login")
    await browser.send("/login", login="ann", password=PASSWORD)
    assert browser.status == 403


async def test_sign_up_and_reset_answer_alike_whoever_exists(api: Api) -> None:
    await account(api)
    texts = set()
    for login, mail in (("new", "x@example.org"), ("ann", "x@example.org"), ("other", "ann@example.org")):
        browser = Browser(api)
        await browser.get("/signup")
        await browser.send("/signup", login=login, mail=mail)
        texts.add(browser.text.replace(mail, "MAIL"))
    assert len(texts) == 1
    texts = set()
    for name in ("ann", "nobody", "ann@example.org"):
        browser = Browser(api)
        await browser.get("/login/reset")
        texts.add(await browser.send("/login/reset", login=name))
    assert len(texts) == 1
    told = [(to, subject) for to, subject, _ in await letters(api)]
    assert ("ann@example.org", "A new password") in told and not any("nobody" in to for to, _ in told)


async def test_who_is_invited_makes_an_account_for_it_and_nobody_else_does(registry: Registry) -> None:
    async with serving(registry, sign_up="invited") as api:
        site = await registry.site()
        _, secret = await registry.do(sites.invite_admin, site.id, {"account": "new@example.org"})
        invitation = f"/invitations/{secret}"
        stranger = Browser(api)
        for target in ("", "/invitations/made-up", "/account"):
            assert "by invitation" in await stranger.get(f"/signup?next={target}")
            await stranger.get("/login?next=" + target)
            assert "Sign up" not in stranger.text
            await stranger.post("/signup", login="evil", mail="evil@example.org", next=target)
            assert stranger.status == 403
        new = Browser(api)
        await new.get(invitation)
        assert new.path.startswith("/login") and f'href="/signup?next={invitation}"' in new.text
        await new.get(f"/signup?next={invitation}")
        await new.send("/signup", login="new", mail="other@example.org")
        assert new.status == 422 and "went to another address" in new.text
        await new.send("/signup", mail="New@example.org")
        await new.get(await link_of(api, "New@example.org"))
        await new.send(new.path.partition("?")[0], password=PASSWORD)
        assert new.path == invitation
        await new.send(invitation)
        assert new.path == f"/sites/{site.id}"


async def test_a_reset_ends_every_session_and_works_once(api: Api) -> None:
    await account(api)
    browser, other = await logged_in(api), Browser(api)
    await other.get("/login/reset")
    await other.send("/login/reset", login="ann")
    path = await link_of(api, "ann@example.org")
    for _ in range(2):
        await other.get(path)
        assert "Choose a password" in other.text, "looking uses nothing up"
    await other.send(path, password="another sentence altogether")
    assert other.path == "/sites"
    await browser.get("/account")
    assert browser.path.startswith("/login")
    await other.get(path)
    assert other.status == 404


async def test_a_link_ends_after_two_days(api: Api) -> None:
    await account(api)
    browser = Browser(api)
    await browser.get("/login/reset")
    await browser.send("/login/reset", login="ann")
    api.registry.now += accounts.LINK_S
    await browser.get(await link_of(api, "ann@example.org"))
    assert browser.status == 404


# -- Attacks -----------------------------------------------------------------------------------------------------------


async def test_a_form_from_elsewhere_is_refused(api: Api) -> None:
    await account(api)
    browser, other = await logged_in(api), Browser(api)
    await browser.get("/account")
    await other.get("/login")
    own = str(api.client.make_url("")).rstrip("/")
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    attacks = (
        ("no origin", None, browser.csrf),
        ("other origin", "https://evil.example", browser.csrf),
        ("null origin", "null", browser.csrf),
        ("no token", own, ""),
        ("another's token", own, other.csrf),
    )
    paths = ("/login", "/logout", "/signup", "/login/reset", "/account/password", "/account/mail", "/sites/new")
    for path in paths:
        for attack, origin, token in attacks:
            headers = {"Cookie": cookie} if origin is None else {"Cookie": cookie, "Origin": origin}
            form = {"csrf": token, "login": "ann", "password": PASSWORD, "mail": "evil@example.org", "old": PASSWORD}
            answer = await api.client.post(path, data=form, headers=headers, allow_redirects=False)
            assert answer.status == 403, (path, attack)
    assert not await letters(api)


async def test_a_session_that_was_put_into_the_browser_is_not_taken_over(api: Api) -> None:
    await account(api)
    browser = Browser(api, {"session": "chosen-by-somebody-else", "visit": "x" * 32})
    await browser.get("/login")
    await browser.send("/login", login="ann", password=PASSWORD)
    assert browser.cookies["session"] != "chosen-by-somebody-else"


async def test_secrets_of_sessions_are_hashed_in_the_store(api: Api) -> None:
    await account(api)
    browser = await logged_in(api)
    async with api.registry.store.read() as connection:
        rows = [str(row) for row in await connection.execute(session.select())]
    assert rows and not any(browser.cookies["session"] in row for row in rows)


async def test_a_session_changes_its_secret_every_hour_and_forms_that_are_open_go_on(api: Api) -> None:
    await account(api)
    browser = await logged_in(api)
    await browser.get("/account")
    first, token = browser.cookies["session"], browser.csrf
    api.registry.now += 3601
    await browser.get("/account")
    assert browser.cookies["session"] != first and browser.csrf == token
    late = Browser(api, {"session": first})
    await late.get("/account")
    assert late.path == "/account", "what was under way goes on for a minute"
    api.registry.now += 61
    await late.get("/account")
    assert late.path.startswith("/login")


@pytest.mark.parametrize(("steps", "days"), [(0, 3), (14, 2)])
async def test_a_session_ends_when_it_is_idle_or_old(api: Api, steps: int, days: int) -> None:
    await account(api)
    browser = await logged_in(api)
    for _ in range(steps):
        api.registry.now += 86_400 * days
        await browser.get("/account")
        assert browser.path == "/account"
    api.registry.now += 86_400 * days
    await browser.get("/account")
    assert browser.path.startswith("/login")


async def test_sessions_are_listed_and_ended_and_nobody_ends_another_s(api: Api) -> None:
    await account(api)
    await account(api, "bob", "bob@example.org")
    one, two, bob = await logged_in(api), await logged_in(api), await logged_in(api, "bob")
    await one.get("/account")
    assert one.text.count('name="session"') == 2
    await bob.get("/account")
    await bob.post("/account/sessions", session="1")
    await one.get("/account")
    assert one.path == "/account"
    await one.post("/account/sessions")
    await two.get("/account")
    assert two.path.startswith("/login")


async def test_guessing_is_slowed_and_locks_out_nobody(api: Api) -> None:
    await account(api)
    at_home = await logged_in(api)
    attacker = Browser(api)
    statuses = []
    for number in range(12):
        await attacker.get("/login")
        await attacker.send("/login", login="ann", password=f"guess {number}")
        statuses.append(attacker.status)
    assert statuses[:5] == [403] * 5 and statuses[-1] == 429
    assert attacker.answer is not None and int(attacker.answer.headers["Retry-After"]) > 0
    device = at_home.cookies["device"]
    again = Browser(api, {"device": device})
    await again.get("/login")
    await again.send("/login", login="ann", password=PASSWORD)
    assert again.path == "/sites", "a browser that is known may, whatever others do"


def test_guesses_from_everywhere_at_one_account_are_slowed() -> None:
    attempts = Attempts()
    allowed = sum(not attempts.log_in("ann", f"192.0.{n}.0/24", "", 0.0) for n in range(200))
    assert allowed <= 60
    assert not attempts.log_in("bob", "198.51.100.0/24", "", 0.0)
    assert not attempts.log_in("ann", "198.51.100.0/24", "a known browser", 0.0)


async def test_links_in_mails_lead_to_us_whatever_host_was_asked_for(registry: Registry) -> None:
    """A front that hands any `Host` on makes nobody's link lead to somebody else."""
    async with serving(registry, url="https://mirrors.example.org") as api:
        await account(api)
        browser = Browser(api)
        for path, form in (
            ("/login/reset", {"login": "ann"}),
            ("/signup", {"login": "bob", "mail": "bob@example.org"}),
        ):
            await browser.get(path)
            cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
            for host, origin in (
                ("evil.example", "https://mirrors.example.org"),
                ("evil.example", "http://evil.example"),
            ):
                headers = {"Cookie": cookie, "Host": host, "Origin": origin, "X-Forwarded-Host": "evil.example"}
                await api.client.post(path, data={"csrf": browser.csrf, **form}, headers=headers)
        told = [text for _, _, text in await letters(api)]
        assert told and all("https://mirrors.example.org/" in text and "evil" not in text for text in told)


async def test_a_login_that_nobody_has_costs_a_comparison_too(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who exists is not told by the time that the answer takes."""
    await account(api)
    await api.registry.do(accounts.save_account, {"login": "off", "disabled": True})
    compared: list[str] = []
    usual = is_password

    def verify(password: str, hashed: str) -> bool:
        compared.append(hashed)
        return usual(password, hashed)

    monkeypatch.setattr(passwords, "is_password", verify)
    for login in ("ann", "nobody", "off", "x@example.org"):
        browser = Browser(api)
        await browser.get("/login")
        await browser.send("/login", login=login, password="no password of anybody")
        assert browser.status == 403
    assert len(compared) == 4 and all(each.startswith("$argon2id$") for each in compared)


async def test_a_box_is_not_filled_by_others(api: Api) -> None:
    await account(api)
    for _ in range(8):
        browser = Browser(api)
        await browser.get("/login/reset")
        await browser.send("/login/reset", login="ann@example.org")
        assert browser.status == 200
    assert len(await letters(api)) == 3


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/a\r\nSet-Cookie: x"],
)
def test_nobody_is_sent_elsewhere_after_login(target: str) -> None:
    assert safe_target(target, "/sites") == "/sites"
    assert safe_target("/hosts/3?x=1", "/sites") == "/hosts/3?x=1"


def test_where_a_form_came_from() -> None:
    host, url = "mirrors.example.org", "https://mirrors.example.org"
    assert is_same_origin({"Origin": url}, host, url)
    assert is_same_origin({"Referer": f"{url}/login"}, "127.0.0.1:8090", url)
    assert is_same_origin({"Origin": "http://127.0.0.1:8090"}, "127.0.0.1:8090", "")
    for told in ("null", "", "https://mirrors.example.org.evil.example", "https://evil.example/mirrors.example.org"):
        assert not is_same_origin({"Origin": told}, host, url)
    assert not is_same_origin({"Origin": "https://mirrors.example.org@evil.example"}, host, url)
    assert not is_same_origin({}, host, url)


def test_cookies_are_bound_to_the_host_where_pages_are_https() -> None:
    assert Marks(b"k", True).cookie("session") == "__Host-session"
    assert Marks(b"k", False).cookie("session") == "session"


def test_a_browser_is_known_for_its_own_account_alone() -> None:
    marks = Marks(b"k", True)
    cookie = marks.device(1, "chance")
    assert marks.knows_device(cookie, 1)
    for forged in (
        cookie.replace("1.", "2.", 1),
        cookie[:-1] + "x",
        "1.chance.",
        "",
        "1",
        Marks(b"l", True).device(1, "c"),
    ):
        assert not marks.knows_device(forged, 1) or forged == cookie
        assert not marks.knows_device(forged, 2)


@pytest.mark.parametrize(
    "password", ["short", "aaaaaaaaaaaaaaaa", "password12345", "i am ann, hello", "x" * 257, "123456789012"]
)
def test_passwords_that_are_guessed_first_are_refused(password: str) -> None:
    with pytest.raises(Invalid):
        refuse_password(password, "ann", "ann")


async def test_cookies_are_for_us_alone(api: Api) -> None:
    await account(api)
    browser = Browser(api)
    await browser.get("/login")
    headers = {"Origin": str(api.client.make_url("")).rstrip("/"), "Cookie": f"visit={browser.cookies['visit']}"}
    form = {"csrf": browser.csrf, "login": "ann", "password": PASSWORD}
    answer = await api.client.post("/login", data=form, headers=headers, allow_redirects=False)
    told = [value for name, value in answer.headers.items() if name == "Set-Cookie" and "session=" in value]
    assert told and all("HttpOnly" in each and "SameSite=Lax" in each and "Path=/" in each for each in told)


async def test_who_looks_at_public_pages_holds_no_cookie(api: Api) -> None:
    browser = Browser(api)
    for path in ("/mirrors", "/join", "/map"):
        await browser.get(path)
    assert browser.cookies == {}


async def test_a_page_of_login_is_in_nobody_s_cache_and_no_frame(api: Api) -> None:
    browser = Browser(api)
    await browser.get("/login")
    assert browser.answer is not None
    assert browser.answer.headers["Cache-Control"] == "no-store"
    assert "frame-ancestors 'none'" in browser.answer.headers["Content-Security-Policy"]
    assert api.client.app is not None and api.client.app[SITE].url == ""


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ({"login": "", "mail": "a@example.org"}, "fault"),
        ({"login": "ann b", "mail": "a@example.org"}, "fault"),
        ({"login": "ann", "mail": "nonsense"}, "fault"),
        ({"login": "<script>", "mail": '"><script>@x'}, "&lt;script&gt;"),
    ],
)
async def test_sign_up_says_what_is_wrong_with_a_field(api: Api, form: dict[str, str], text: str) -> None:
    browser = Browser(api)
    await browser.get("/signup")
    await browser.send("/signup", **form)
    assert browser.status == 422 and text in browser.text
    assert await letters(api) == []


async def test_password_and_mail_are_changed_by_whoever_knows_the_password(api: Api) -> None:
    await account(api)
    browser = await logged_in(api)
    await browser.get("/account")
    await browser.send("/account/password", old="wrong", password="another sentence altogether")
    assert browser.status == 422
    await browser.send("/account/password", old=PASSWORD, password="short")
    assert browser.status == 422
    await browser.send("/account/password", old=PASSWORD, password="another sentence altogether")
    assert "The password is changed" in browser.text
    await browser.get("/account")
    await browser.send("/account/mail", old="another sentence altogether", mail="new@example.org")
    await browser.get(await link_of(api, "new@example.org"))
    await browser.send(browser.path)
    await browser.get("/account")
    assert "new@example.org" in browser.text and "Not verified" not in browser.text
    assert [to for to, subject, _ in await letters(api) if "changed" in subject] == ["ann@example.org"] * 2


async def test_an_account_is_deleted_by_its_owner(api: Api) -> None:
    await account(api)
    browser = await logged_in(api)
    await browser.get("/account")
    await browser.send("/account/delete", sure="no")
    assert browser.status == 422
    await browser.send("/account/delete", sure="ann")
    assert "deleted" in browser.text
    await browser.get("/account")
    assert browser.path.startswith("/login")
