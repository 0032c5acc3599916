"""What scans found becomes categories and repositories, as `masters` names them."""

from __future__ import annotations

from redirector.registry.edit.change import Change
from redirector.registry.edit.new_releases import SCAN, adopt_releases
from redirector.registry.permits import Act
from redirector.registry.publish.scanned import read_scans, repositories_of
from redirector.registry.views import show_category
from redirector.store.registry import queries
from redirector.store.registry.rows import CategoryRow, RepositoryRow


async def adopt_scans(change: Change) -> int:
    """Make categories, repositories and releases that are not there yet, mend what scans made; how many changed.

    What people made or edited stays as it is. A tree's own scan has no name or no top, and is no category.
    """
    change.require(Act.ADMINISTER)
    changed = 0
    connection = change.connection
    categories = {row.name_key: row for row in await queries.list_rows(connection, CategoryRow)}
    repositories = {(row.prefix, row.arch): row for row in await queries.list_rows(connection, RepositoryRow)}
    for key, scan in (await read_scans(connection)).items():
        row, top = categories.get(key), scan.top.strip("/")
        if not key or not top:
            continue
        products = sorted({each.product for each in scan.repositories if each.product})
        if row is None:
            row = await queries.add(
                connection,
                CategoryRow,
                name=scan.category,
                name_key=key,
                top=top,
                product=products[0] if len(products) == 1 else "",
                joinable=True,
                for_people=True,
                origin=SCAN,
                edited=scan.read,
            )
            await change.log("category.add", row.name, row.id, {}, show_category(row))
            changed += 1
        elif row.top != top:
            await queries.change(connection, CategoryRow, row.id, None, top=top, edited=scan.read)
            await change.log("category.change", row.name, row.id, {"top": row.top}, {"top": top})
            changed += 1
        named = set()
        for repository, directory in repositories_of(scan):
            named.add((repository.prefix, repository.arch))
            there = repositories.get((repository.prefix, repository.arch))
            if there is None:
                await queries.add(
                    connection,
                    RepositoryRow,
                    prefix=repository.prefix,
                    arch=repository.arch,
                    directory=directory,
                    enabled=True,
                    category=row.name,
                    origin=SCAN,
                    edited=scan.read,
                )
                changed += 1
            elif there.origin == SCAN and there.directory != directory:
                await queries.change(
                    connection, RepositoryRow, there.id, None, directory=directory, category=row.name, edited=scan.read
                )
                changed += 1
        for pair, old in repositories.items():
            if old.origin == SCAN and old.category == row.name and pair not in named:
                await queries.remove(connection, RepositoryRow, id=old.id)
                changed += 1
        changed += await adopt_releases(change, row, scan)
    return changed
