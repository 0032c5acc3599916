"""A database of MirrorManager 2, made from what is documented of its tables: SQLite or PostgreSQL."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.ext.asyncio import create_async_engine

from redirector.store.urls import parse_database

_KINDS = {"int": Integer, "big": BigInteger, "bool": Boolean, "text": Text, "time": DateTime, "blob": LargeBinary}

_TABLES = """
site: name text, password text, org_url text, private bool, admin_active bool, user_active bool, created_at time,
    created_by text, all_sites_can_pull_from_me bool, downstream_comments text
country: code text
host: name text, site_id int, robot_email text, admin_active bool, user_active bool, country text, bandwidth_int int,
    comment text, config blob, last_checked_in time, last_crawled time, private bool, internet2 bool, asn int,
    asn_clients bool, max_connections int
directory: name text, files blob, readable bool, ctime big
product: name text, publiclist bool
category: name text, publiclist bool, admin_only bool, product_id int, topdir_id int
category_directory: category_id int, directory_id int
host_category: host_id int, category_id int, always_up2date bool
host_category_dir: host_category_id int, path text, up2date bool, directory_id int
host_category_url: host_category_id int, url text, private bool
host_netblock: host_id int, netblock text, name text
host_peer_asn: host_id int, asn int, name text
host_country_allowed: host_id int, country text
host_acl_ip: host_id int, ip text
arch: name text, publiclist bool, primary_arch bool
version: name text, product_id int, is_test bool, display bool
repository: name text, prefix text, category_id int, version_id int, arch_id int, directory_id int, disabled bool
file_detail: filename text, timestamp big, size big, sha1 text, md5 text, sha256 text, sha512 text, directory_id int
repository_redirect: from_repo text, to_repo text
country_continent_redirect: country text, continent text
netblock_country: netblock text, country text
site_admin: username text, site_id int
site_to_site: upstream_site_id int, downstream_site_id int, username text, password text
embargoed_country: country_code text
mm_user: user_name text, email_address text, password text
"""

metadata = MetaData()

TABLES: dict[str, Table] = {}
for _line in _TABLES.strip().replace(",\n   ", ",").splitlines():
    _name, _, _columns = _line.partition(":")
    TABLES[_name] = Table(
        _name,
        metadata,
        Column("id", Integer, primary_key=True),
        *(Column(each.split()[0], _KINDS[each.split()[1]]) for each in _columns.split(",")),
    )

Rows = dict[str, list[dict[str, object]]]


async def write_database(url: str, rows: Rows) -> None:
    """Make the tables at *url* and fill them."""
    engine = create_async_engine(parse_database(url).driver)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
            for name, table in TABLES.items():
                for row in rows.get(name, ()):
                    await connection.execute(table.insert().values(**row))
    finally:
        await engine.dispose()
