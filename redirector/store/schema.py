"""The one list of tables. Each part of the store describes its own in `redirector.store.tables`."""

from __future__ import annotations

from sqlalchemy import BigInteger, Integer, MetaData

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)
"""Constraints have names of their own, so that a migration can name them in both databases.

Numbers are `NUMBER`, times `BigInteger`, epoch seconds. Paths are `LargeBinary`: no encoding is promised for them.
"""

NUMBER = BigInteger().with_variant(Integer(), "sqlite")
"""Numbers that people type may be larger than four bytes hold: they are to be found nowhere, not refused by a driver.
SQLite's INTEGER holds eight, and gives primary keys their numbers under that name alone."""
