"""What mails lead to: where a contact says that it is right, and how a notice is verified."""

from __future__ import annotations

import html
import re
import subprocess
from pathlib import Path

from redirector.registry import contacts
from redirector.registry.announcing import PUBLIC, Post
from redirector.registry.edit import catalogue
from redirector.registry.signing import SIGNER, read_sign_key
from redirector.store.registry import queries
from redirector.store.registry.rows import ContactRow
from tests.patience import PATIENCE_S
from tests.registry.conftest import registry
from tests.registry.rig import CIPHER, Registry
from tests.registry.test_announcing import told, verified_site
from tests.web.conftest import Api, api, serving

__all__ = ["api", "registry"]


async def test_a_contact_says_that_it_is_right_by_a_button(api: Api) -> None:
    site = await api.registry.site()
    other = await api.registry.site(name="Other Site", contacts=["other@example.org"])
    path = contacts.path_of(CIPHER, site.id, "ops@example.org")

    async def verified() -> bool:
        async with api.registry.store.read() as connection:
            (row,) = await queries.list_rows(connection, ContactRow, site=site.id)
        return row.verified is not None

    for wrong in (path[:-1], path.replace(f"/{site.id}/", f"/{other.id}/"), "/contacts/x/y", "/contacts/9999/y"):
        for ask in (api.client.get, api.client.post):
            assert (await ask(wrong)).status == 404
    shown = await api.client.get(path)
    text = await shown.text()
    assert (shown.status, shown.headers["Cache-Control"]) == (200, "no-store")
    assert "ops@example.org" in text and "Example Site" in text and "<button" in text
    assert not await verified()
    for _ in range(2):
        thanked = await api.client.post(path)
        assert thanked.status == 200 and "Thank you" in await thanked.text()
        assert await verified()


async def test_a_notice_is_verified_as_the_page_says(registry: Registry, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    signer = read_sign_key(str(key))
    site = await verified_site(registry)
    await registry.host(site, new_releases=True)
    await registry.do(catalogue.create_release, {"product": "Example Linux", "version": "2"})
    post = Post(mails=True, pages="https://mirrors.example.org", cipher=CIPHER, signer=signer)
    (mail,) = [each for each in await told(registry, post) if each.kind == PUBLIC]
    assert "https://mirrors.example.org/join" in mail.body
    async with serving(registry, sign_key=signer.public) as api:
        page = await (await api.client.get("/join")).text()
    line, commands = [html.unescape(each) for each in re.findall(r"<pre>(.*?)</pre>", page, re.S)]
    (tmp_path / "allowed_signers").write_text(f"{line}\n")

    def verify(text: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "mail.txt").write_text(text)
        return subprocess.run(["sh", "-c", commands], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_S)

    good = verify(mail.body)
    assert good.returncode == 0 and f'Good "redirector-release" signature for {SIGNER}' in good.stdout
    assert verify(mail.body.replace("Example Linux", "Example  Linux")).returncode == 255
    async with serving(registry) as api:
        assert "SSH SIGNATURE" not in await (await api.client.get("/join")).text()
