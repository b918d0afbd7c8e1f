"""Reports that few ask for."""

from . import words


def now(*zone):
    """The hour of a fixed moment in a time zone."""
    import datetime
    import zoneinfo

    moment = datetime.datetime(2024, 7, 1, 12, tzinfo=datetime.timezone.utc)
    return moment.astimezone(zoneinfo.ZoneInfo("/".join(zone) or "Europe/Paris")).isoformat()


def stored():
    """The words after a way through a database."""
    import sqlite3

    with sqlite3.connect(":memory:") as connection:
        connection.execute("create table word (key, value)")
        connection.executemany("insert into word values (?, ?)", words.WORDS.items())
        return str(connection.execute("select count(*) from word").fetchone()[0])


def host():
    """What the machine calls itself."""
    import subprocess

    return subprocess.run(["uname", "-s"], check=True, capture_output=True, text=True).stdout


def table():
    """The words as CSV, compressed and back."""
    import csv
    import gzip
    import io

    out = io.StringIO()
    csv.writer(out).writerows(words.WORDS.items())
    return gzip.decompress(gzip.compress(out.getvalue().encode())).decode()


def version():
    """The version of a library, out of its distribution."""
    from importlib import metadata

    import requests

    return f"{requests.__version__} {metadata.version('requests')}"


def fetch():
    """An answer from ourselves."""
    import requests

    return requests.get("http://127.0.0.1:8000/words/list", timeout=5).text


def pool():
    """Work in another process."""
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(1) as executor:
        return str(executor.submit(pow, 2, 10).result())
