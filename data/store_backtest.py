"""What a backtest's own store needs: the same threads held out whenever it is repeated."""

from sqlite_utils import Database

from data.store_connection import immediate


def set_salt(db: Database, salt: str) -> None:
    """Choose held-out threads by this text. Only before any thread was seen: a choice is never taken back."""
    with immediate(db):
        if db.execute("select exists (select 1 from threads)").fetchone()[0]:
            raise ValueError("threads were seen already")
        db.execute("update meta set value = ? where key = 'salt'", [salt])
