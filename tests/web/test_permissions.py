"""Who may open and send what: a row for every route of pages and programs. Those of the API are in `test_api`."""

from __future__ import annotations

from redirector.registry.edit import networks
from redirector.web.access import API
from redirector.web.api.routes import ROUTES
from tests.registry.conftest import registry
from tests.web.browser import Browser
from tests.web.conftest import Api, api
from tests.web.test_forms import logged_in

__all__ = ["api", "registry"]

PUBLIC = {
    f"GET {API}/openapi.json", "GET /healthz", "GET /metrics", "GET /style.css", "GET /join/sizes.txt",
    "GET /mirrors", "GET /mirrors/{host}",
    "GET /map", "GET /propagation", "GET /statistics", "GET /join", "GET /login", "GET /signup", "GET /login/reset",
    "GET /api/repositories", "GET /api/repositories/", "GET /mirrormanager/api/repositories",
    "GET /mirrormanager/api/repositories/",
}  # fmt: skip
"""Everybody gets them."""

SECRETS = {
    "GET /login/link/{secret}", "POST /login/link/{secret}", "GET /contacts/{site}/{secret}",
    "POST /contacts/{site}/{secret}",
}  # fmt: skip
"""Whoever knows the secret in the path."""

OPEN_FORMS = {"POST /login", "POST /logout", "POST /signup", "POST /login/reset"}
"""Forms of visitors: limited, and answered alike whoever exists."""

PROGRAMS = {
    f"GET {API}/export/{{name}}", "GET /rsyncFilter", "GET /rsyncFilter/", f"POST {API}/check-in", "POST /xmlrpc",
    "POST /xmlrpc/", "POST /mirrormanager/xmlrpc", "POST /mirrormanager/xmlrpc/", "GET /api/mirroradmins",
    "GET /api/mirroradmins/", "GET /mirrormanager/api/mirroradmins", "GET /mirrormanager/api/mirroradmins/",
}  # fmt: skip
"""By tokens, or by a password in the body: `test_exports`, `test_check_in`."""

PEOPLE = {
    "GET /account", "POST /account/password", "POST /account/mail", "POST /account/sessions", "GET /sites",
    "POST /account/tokens/{number}",
    "GET /sites/new", "POST /sites/new", "GET /events", "GET /invitations/{secret}", "POST /invitations/{secret}",
}  # fmt: skip
"""Whoever is logged in, for himself."""

OWN = {
    "GET /sites/{site}", "POST /sites/{site}", "POST /sites/{site}/approval", "POST /sites/{site}/admins",
    "POST /sites/{site}/admins/{number}", "POST /sites/{site}/invitations/{number}", "POST /sites/{site}/tokens",
    "POST /sites/{site}/tokens/{number}", "GET /sites/{site}/hosts/new", "POST /sites/{site}/hosts/new",
    "GET /hosts/{host}", "GET /hosts/{host}/check", "GET /hosts/{host}/effect", "GET /sites/{site}/effect",
    "POST /hosts/{host}", "POST /hosts/{host}/maintenance", "POST /hosts/{host}/tokens",
    "POST /hosts/{host}/tokens/{number}", "POST /hosts/{host}/{plural}", "GET /hosts/{host}/{plural}/{number}",
    "POST /hosts/{host}/{plural}/{number}", "POST /hosts/{host}/{plural}/{number}/delete",
    "POST /hosts/{host}/leave", "POST /sites/{site}/leave",
}  # fmt: skip
"""Admins of the site, and the distribution's; for others it is not there."""

LOOKS = {"POST /hosts/{host}/check"}
"""The same people; tried by others alone, since it looks at machines of the internet."""

CHIEFS_ON_SITES = {"POST /sites/{site}/notes", "POST /hosts/{host}/{plural}/{number}/approval"}

DESK = {
    "GET /desk", "GET /desk/accounts", "POST /desk/accounts/{number}", "GET /desk/{plural}", "POST /desk/{plural}",
    "GET /desk/{plural}/{number}", "POST /desk/{plural}/{number}", "POST /desk/{plural}/{number}/delete",
}  # fmt: skip
"""The distribution's admins."""

UNTRIED = {"POST /account/delete"}
"""It would end the session of the one who tries."""

TABLE = (PUBLIC, SECRETS, OPEN_FORMS, PROGRAMS, PEOPLE, OWN, LOOKS, CHIEFS_ON_SITES, DESK, UNTRIED)


def routes_of(api: Api) -> set[str]:
    """Every route but those of the API's table, and what follows from a GET."""
    application = api.client.app
    assert application is not None
    tabled = {f"{route.method} {API}{route.path}" for route in ROUTES}
    found = set()
    for route in application.router.routes():
        assert route.resource is not None
        if route.method not in ("HEAD", "OPTIONS"):
            found.add(f"{route.method} {route.resource.canonical}")
    return found - tabled


async def test_every_route_has_a_row_and_every_row_is_so(api: Api) -> None:
    rows = [row for part in TABLE for row in part]
    assert sorted(routes_of(api)) == sorted(rows)
    tried = api.registry
    site = await tried.site(approved=False)
    await tried.owner("keeper", site)
    host = await tried.host(site)
    row = await tried.do(networks.add_network, host.id, {"network": "8.8.8.0/24"})
    numbers = {"site": site.id, "host": host.id, "plural": "networks", "number": row.id, "secret": "none"}
    people = {
        "visitor": Browser(api),
        "stranger": await logged_in(api, "stranger"),
        "owner": await logged_in(api, "keeper"),
        "chief": await logged_in(api, "chief", admin=True),
    }
    tokens = {}
    for name, browser in people.items():
        await browser.get("/login" if name == "visitor" else "/sites/new")
        tokens[name] = browser.csrf

    async def ask(person: str, line: str) -> tuple[int, str]:
        method, path = line.split()
        told = {**numbers, "plural": "releases"} if line in DESK else numbers
        browser, path = people[person], path.format_map(told)
        if method == "GET":
            await browser.get(path)
        else:
            decided = {"text": "a note", "action": "approve", "version": "1"} if line in CHIEFS_ON_SITES else {}
            await browser.post(path, csrf=tokens[person], **decided)
        return browser.status, browser.path

    for line in sorted(PUBLIC):
        assert (await ask("visitor", line))[0] == (404 if "{host}" in line else 200), line
    for line in sorted(SECRETS):
        assert (await ask("visitor", line))[0] in (403, 404, 410), line
    for line in sorted(PEOPLE | OWN | LOOKS | CHIEFS_ON_SITES | DESK, key=lambda line: (line.count("leave"), line)):
        status, path = await ask("visitor", line)
        assert status in (200, 403) and (status == 403 or path.startswith("/login")), (line, status, path)
    for line in sorted(PEOPLE):
        assert (await ask("stranger", line))[0] != 403, line
    for line in sorted(OWN | LOOKS | CHIEFS_ON_SITES):
        assert (await ask("stranger", line))[0] == 404, line
    for person in ("stranger", "owner"):
        for line in sorted(DESK):
            assert (await ask(person, line))[0] == 403, (person, line)
    for line in sorted(CHIEFS_ON_SITES):
        assert (await ask("owner", line))[0] == 403, line
    for line in sorted(OWN, key=lambda line: (line.count("delete") + line.count("leave"), line)):
        expected = {404} if "/tokens/{" in line or "/invitations/{" in line else {200, 409, 422}
        assert (await ask("owner", line))[0] in expected, line
    for line in sorted(DESK):
        assert (await ask("chief", line))[0] not in (401, 403), line


async def test_a_form_that_is_not_ours_changes_nothing(api: Api) -> None:
    """A page of somebody else's can send forms with a person's cookies: without our token, or from elsewhere."""
    site = await api.registry.site()
    await api.registry.owner("keeper", site)
    await api.registry.host(site)
    browser = await logged_in(api, "keeper")
    await browser.get("/sites/new")
    token = browser.csrf
    forms = [line.split()[1] for line in sorted(PEOPLE | OWN | LOOKS | UNTRIED) if line.startswith("POST")]
    numbers = {"site": 1, "host": 1, "plural": "networks", "number": 1, "secret": "none"}
    for path in forms:
        await browser.post(path.format_map(numbers), csrf="")
        assert browser.status == 403, path
    browser.sends_origin = False
    for path in forms:
        answer = await api.client.post(
            path.format_map(numbers),
            data={"csrf": token},
            headers={
                "Origin": "https://evil.example",
                "Cookie": "; ".join(f"{n}={v}" for n, v in browser.cookies.items()),
            },
            allow_redirects=False,
        )
        api.client.session.cookie_jar.clear()
        assert answer.status == 403, path
