"""A small shop: pages, an interface in JSON, figures computed with numpy, orders in a file."""

import datetime
import os
import sqlite3

import numpy as np
from flask import Flask, abort, g, jsonify, render_template, request, session, url_for

SCHEMA = "create table if not exists orders (id integer primary key, item text not null, count integer not null)"


def create_app():
    app = Flask(__name__)
    app.secret_key = os.environ.get("SHOP_KEY", "for tests only")
    path = os.environ.get("SHOP_DATABASE", "/srv/data/orders.db")

    def database():
        if "database" not in g:
            g.database = sqlite3.connect(path)
            g.database.execute(SCHEMA)
        return g.database

    @app.teardown_appcontext
    def close(_error):
        if "database" in g:
            g.database.close()

    @app.get("/")
    def index():
        session["visits"] = session.get("visits", 0) + 1
        return render_template("index.html", visits=session["visits"])

    @app.get("/about")
    def about():
        return render_template("about.html", year=2026)

    @app.get("/api/orders")
    def orders():
        rows = database().execute("select id, item, count from orders order by id").fetchall()
        return jsonify([{"id": number, "item": item, "count": count} for number, item, count in rows])

    @app.post("/api/orders")
    def add():
        order = request.get_json()
        if not isinstance(order.get("count"), int):
            abort(422)
        with database() as connection:
            cursor = connection.execute(
                "insert into orders (item, count) values (?, ?)", (str(order["item"]), order["count"])
            )
        return jsonify(id=cursor.lastrowid), 201, {"Location": url_for("orders")}

    @app.post("/api/statistics")
    def statistics():
        values = np.array(request.get_json(), dtype=float)
        return jsonify(mean=float(values.mean()), deviation=float(values.std()))

    @app.post("/api/solve")
    def solve():
        body = request.get_json()
        solution = np.linalg.solve(np.array(body["a"], dtype=float), np.array(body["b"], dtype=float))
        return jsonify([round(float(x), 6) for x in solution])

    @app.get("/api/spectrum")
    def spectrum():
        wave = np.sin(np.linspace(0, 8 * np.pi, 64, endpoint=False))
        return jsonify(peak=int(np.abs(np.fft.rfft(wave)).argmax()))

    @app.get("/api/dice/<int:seed>")
    def dice(seed):
        return jsonify(np.random.default_rng(seed).integers(1, 7, 10).tolist())

    @app.get("/api/time")
    def time():
        from zoneinfo import ZoneInfo

        noon = datetime.datetime(2026, 7, 1, 12, tzinfo=datetime.timezone.utc)
        return jsonify(noon.astimezone(ZoneInfo(request.args.get("zone", "UTC"))).isoformat())

    @app.get("/export.csv")
    def export():
        import csv
        import io

        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(["id", "item", "count"])
        writer.writerows(database().execute("select id, item, count from orders order by id"))
        data = text.getvalue().encode(request.args.get("encoding", "utf-8"), "replace")
        return data, 200, {"Content-Type": "text/csv"}

    @app.get("/export.xml")
    def export_xml():
        from xml.etree import ElementTree

        root = ElementTree.Element("orders")
        for _, item, count in database().execute("select id, item, count from orders order by id"):
            ElementTree.SubElement(root, "order", item=item, count=str(count))
        return ElementTree.tostring(root, encoding="unicode"), 200, {"Content-Type": "application/xml"}

    @app.post("/upload")
    def upload():
        file = request.files["file"]
        return jsonify(name=file.filename, bytes=len(file.read()))

    @app.get("/broken")
    def broken():
        return 1 / int(request.args.get("by", "0"))

    @app.cli.command("count")
    def count():
        """Print how many orders there are."""
        print(database().execute("select count(*) from orders").fetchone()[0])

    for code in (404, 422, 500):
        app.register_error_handler(code, lambda error: (render_template(f"errors/{error.code}.html"), error.code))
    return app
