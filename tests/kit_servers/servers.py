"""Real servers on loopback, IPv4 and IPv6, well configured by the kit's files or ill in one respect each."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import trustme

from tests.health.mirrors import make_master, write
from tests.kit.rig import wait_for, write_kit
from tests.patience import free_port

REPOSITORY = "9.8/BaseOS/x86_64/os"
NAME = "mirror.example.org"


@dataclass(frozen=True, slots=True)
class Trees:
    """A master, and a mirror of it that faults may touch; *folder* can be entered by everybody."""

    folder: Path
    master: Path
    mirror: Path
    authority: trustme.CA


def make_tree(tree: Path, stamp: int) -> None:
    """A tree as of *stamp*, whose indexes have checksums."""
    make_master(tree, stamp, ("x86_64",))
    for index in tree.rglob("repomd.xml"):
        digest = sha256((index.parent / f"{stamp}-primary.xml.gz").read_bytes()).hexdigest()
        text = index.read_text().replace("<timestamp>", f'<checksum type="sha256">{digest}</checksum><timestamp>')
        write(index, text.encode(), stamp)


@contextmanager
def make_trees(stamp: int) -> Iterator[Trees]:
    """Trees as of *stamp*, with an image, with a folder that is not released, and with an unfinished file."""
    with tempfile.TemporaryDirectory(prefix="kit-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for tree in ("master", "mirror"):
            make_tree(folder / tree, stamp)
            write(folder / tree / "9.8" / "isos" / "x.iso", b"i" * 1000, stamp)
            write(folder / tree / "10.0" / "secret.rpm", b"s", stamp)
            (folder / tree / "10.0").chmod(0o750)
        write(folder / "mirror" / ".~tmp~" / "half.rpm", b"half", stamp)
        yield Trees(folder, folder / "master", folder / "mirror", trustme.CA())


@asynccontextmanager
async def program(*command: str | Path, port: int, env: Mapping[str, str] = {}) -> AsyncIterator[None]:
    """A server in the foreground, until it listens; ended with all that it started."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command), stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL, start_new_session=True, env={**os.environ, **env},
    )  # fmt: skip
    try:
        await wait_for(port)
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def kit_for(trees: Trees, **keys: str) -> Path:
    """A kit for the mirror's tree."""
    kit = trees.folder / "kit"
    write_kit(
        kit,
        {
            "name": NAME, "source": "rsync://master.example.org/m/", "root": str(trees.mirror), "path": "/pub/",
            "logs": str(trees.folder), **keys,
        },
    )  # fmt: skip
    return kit


Edit = Callable[[str], str]


def same(text: str) -> str:
    return text


def insert(after: str, what: str) -> Edit:
    def edit(text: str) -> str:
        assert after in text, after
        return text.replace(after, after + what)

    return edit


def replace(pattern: str, by: str = "") -> Edit:
    def edit(text: str) -> str:
        changed, times = re.subn(pattern, by, text, flags=re.DOTALL)
        assert times, pattern
        return changed

    return edit


@asynccontextmanager
async def nginx(
    trees: Trees, edit: Edit = same, certificate: trustme.LeafCert | None = None, **keys: str
) -> AsyncIterator[str]:
    port = free_port()
    if certificate is not None:
        certificate.private_key_pem.write_to_path(trees.folder / "key.pem")
        certificate.cert_chain_pems[0].write_to_path(trees.folder / "chain.pem")
        keys |= {"certificate": f"{trees.folder}/chain.pem", "certificate_key": f"{trees.folder}/key.pem"}
    text = edit((kit_for(trees, **keys) / "nginx.conf").read_text())
    text = text.replace("/var/log/nginx", str(trees.folder))
    web, tls = ("0", port) if certificate else (port, "0")
    for family in ("127.0.0.1", "[::1]"):
        before = "" if family[0] != "[" else "[::]:"
        text = text.replace(f"listen {before}80;", f"listen {family}:{web};" if not certificate else "")
        text = text.replace(f"listen {before}443 ssl;", f"listen {family}:{tls} ssl;")
    config = trees.folder / "nginx.conf"
    folders = " ".join(
        f"{kind}_temp_path {trees.folder};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user www-data;" if os.getuid() == 0 else ""
    config.write_text(
        f"daemon off; {user} pid {trees.folder}/pid; error_log {trees.folder}/error; events {{}}\n"
        f"http {{ include /etc/nginx/mime.types; {folders} {text} }}\n"
    )
    async with program("nginx", "-c", config, port=port):
        yield f"{'https' if certificate else 'http'}://{NAME}:{port}/pub/"


@asynccontextmanager
async def apache(trees: Trees, edit: Edit = same, **keys: str) -> AsyncIterator[str]:
    port = free_port()
    text = edit((kit_for(trees, **keys) / "apache.conf").read_text()).replace("*:80", f"*:{port}")
    text = text.replace("/var/log/apache2/", f"{trees.folder}/")
    config = trees.folder / "apache.conf"
    modules = sorted(Path("/etc/apache2/mods-enabled").glob("*.load"))
    config.write_text(
        f"DefaultRuntimeDir {trees.folder}\nPidFile {trees.folder}/pid\nErrorLog {trees.folder}/error\nServerName x\n"
        f"Listen 127.0.0.1:{port}\nListen [::1]:{port}\nUser www-data\nGroup www-data\nTypesConfig /etc/mime.types\n"
        + "".join(f"Include {each}\n" for each in modules if each.stem != "headers")
        + f"Include /etc/apache2/mods-available/headers.load\n{text}"
    )
    async with program("apache2", "-DFOREGROUND", "-f", config, port=port):
        yield f"http://{NAME}:{port}/pub/"


LIGHTTPD = """
server.modules = ({modules}"mod_access", "mod_alias", "mod_dirlisting", "mod_setenv", "mod_staticfile")
server.document-root = "{folder}/none"
server.username = "www-data"
server.groupname = "www-data"
server.bind = "127.0.0.1"
server.port = {port}
$SERVER["socket"] == "[::1]:{port}" {{ }}
server.errorlog = "/dev/null"
alias.url = ("/pub/" => "{mirror}/")
dir-listing.activate = "enable"
mimetype.assign = ({types} ".xml" => "text/xml", "" => "application/octet-stream")
url.access-deny = ({deny})
static-file.disable-pathinfo = "enable"
{cache}
{more}
"""


@asynccontextmanager
async def lighttpd(trees: Trees, **keys: str) -> AsyncIterator[str]:
    """lighttpd as an admin configures it by hand."""
    port = free_port()
    (trees.folder / "none").mkdir(exist_ok=True)
    values = {
        "types": "", "deny": "", "modules": "", "more": "",
        "temporary": '$HTTP["url"] =~ "/\\.~tmp~/" { url.access-deny = ("") }',
        "cache": '$HTTP["url"] =~ "/repomd.xml$" { setenv.set-response-header = ("Cache-Control" => "no-cache") }',
        **keys,
    }  # fmt: skip
    values["more"] += "\n" + values.pop("temporary")
    config = trees.folder / "lighttpd.conf"
    config.write_text(LIGHTTPD.format(folder=trees.folder, mirror=trees.mirror, port=port, **values))
    async with program("lighttpd", "-D", "-f", config, port=port):
        yield f"http://{NAME}:{port}/pub/"


@asynccontextmanager
async def rsyncd(trees: Trees, edit: Edit = same, file: str = "rsyncd.conf") -> AsyncIterator[str]:
    port = free_port()
    text = edit((kit_for(trees) / file).read_text()).replace("/run/", f"{trees.folder}/run-")
    config = trees.folder / file
    config.write_text(text)
    async with program("rsync", "--daemon", "--no-detach", f"--config={config}", f"--port={port}", port=port):
        yield f"rsync://{NAME}:{port}/mirror/"


VSFTPD = """
listen=NO
listen_ipv6=YES
listen_port={port}
background=NO
anonymous_enable=YES
local_enable=NO
anon_root={mirror}
no_anon_password=YES
secure_chroot_dir={folder}/empty
ftp_username=www-data
nopriv_user=nobody
xferlog_enable=NO
seccomp_sandbox=NO
pasv_min_port=20000
{more}
"""


@asynccontextmanager
async def vsftpd(trees: Trees, more: str = "deny_file={{.~tmp~}}") -> AsyncIterator[str]:
    port = free_port()
    (trees.folder / "empty").mkdir(exist_ok=True)
    config = trees.folder / "vsftpd.conf"
    config.write_text(VSFTPD.format(folder=trees.folder, mirror=trees.mirror, port=port, more=more.format()))
    config.chmod(0o600)
    async with program("vsftpd", config, port=port):
        yield f"ftp://{NAME}:{port}/"
