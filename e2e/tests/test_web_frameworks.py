"""Web applications as their frameworks have them, behind function URLs through the adapters that people use."""

import os
import re
import urllib.parse
from pathlib import Path

import pytest

from support.packages import node_packages, python_packages
from support.urls import call, public
from test_node import node_runtime

PAGE = """<!doctype html><meta charset="utf-8"><title>%(name)s</title>
<h1>Hello from %(name)s</h1><p id="said">...</p>
<script>fetch("/items/7?q=a%%20b").then(r => r.json()).then(j => { said.textContent = `item ${j.id}, ${j.q}` })</script>"""

FASTAPI = '''
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from mangum import Mangum

app = FastAPI()

@app.api_route("/", methods=["GET", "HEAD"], response_class=HTMLResponse)
def page():
    return """PAGE"""

@app.get("/items/{id}")
def item(id: int, q: str, request: Request):
    return {"id": id, "q": q, "host": request.headers["host"]}

@app.post("/echo")
async def echo(request: Request):
    return Response(await request.body(), media_type=request.headers["content-type"])

@app.get("/cookies")
def cookies(request: Request):
    response = Response("; ".join(f"{name}={value}" for name, value in request.cookies.items()))
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")
    return response

@app.get("/moved")
def moved():
    return RedirectResponse("/", 303)

@app.get("/image")
def image():
    return Response(bytes(range(256)), media_type="image/png")

handler = Mangum(app, lifespan="auto")
'''

EXPRESS = """
const express = require("express");
const serverless = require("serverless-http");
const app = express();
app.get("/", (req, res) => res.send(`PAGE`));
app.get("/items/:id", (req, res) => res.json({ id: Number(req.params.id), q: req.query.q, host: req.get("host") }));
app.post("/echo", express.raw({ type: () => true }), (req, res) => res.set("content-type", req.get("content-type")).send(req.body));
app.get("/cookies", (req, res) => res.append("Set-Cookie", "a=1; Path=/").append("Set-Cookie", "b=2; Path=/").type("text").send(req.get("cookie")));
app.get("/moved", (req, res) => res.redirect(303, "/"));
app.get("/image", (req, res) => res.type("png").send(Buffer.from([...Array(256).keys()])));
exports.handler = serverless(app, { binary: ["image/*", "application/octet-stream"] });
"""


def fastapi(deploy):
    page = PAGE % {"name": "FastAPI"}
    return deploy({**python_packages("fastapi", "mangum"), "app.py": FASTAPI.replace("PAGE", page)}), "FastAPI"


def express(deploy):
    if "HEARTH_NODE_MODULES" not in os.environ:
        pytest.skip("HEARTH_NODE_MODULES names no folder with Express")
    page = (PAGE % {"name": "Express"}).replace("`", "\\`").replace("${", "\\${")
    files = {**node_packages(os.environ["HEARTH_NODE_MODULES"], "express", "serverless-http"), "app.js": EXPRESS.replace("PAGE", page)}
    return deploy(files, Runtime=node_runtime()), "Express"


def axum(deploy):
    if "RUST_WEB" not in os.environ:
        pytest.skip("RUST_WEB names no built example")
    return deploy({"bootstrap": (Path(os.environ["RUST_WEB"]).read_bytes(), 0o755)}, Runtime="provided.al2023", Handler="any"), "axum"


@pytest.fixture(scope="module", params=[fastapi, express, axum], ids=lambda make: make.__name__)
def application(request, client, deploy_once):
    function, name = request.param(deploy_once)
    return public(client, function.name), name


def test_it_serves_as_it_does_elsewhere(application):
    url, name = application
    page = call(url)
    assert page.status == 200 and page.headers["content-type"].startswith("text/html") and f"<h1>Hello from {name}</h1>" in page.body.decode()
    assert (call(url, method="HEAD").status, call(url, method="HEAD").body) == (200, b"")
    assert call(url, "/items/7?q=a%20%26%20b").json == {"id": 7, "q": "a & b", "host": urllib.parse.urlsplit(url).netloc}
    assert call(url, "/none").status == 404
    moved = call(url, "/moved")
    assert (moved.status, moved.headers["location"]) == (303, "/")
    image = call(url, "/image")
    assert (image.headers["content-type"], image.body) == ("image/png", bytes(range(256)))


def test_bodies_and_cookies_go_both_ways(application):
    url, _ = application
    for kind, body in [("application/octet-stream", bytes(range(256)) * 100), ("text/plain;charset=utf-8", "grüße".encode()), ("application/x-www-form-urlencoded", b"a=1&b=2")]:
        answer = call(url, "/echo", "POST", body, {"Content-Type": kind})
        assert answer.body == body and answer.headers["content-type"].split(";")[0] == kind.split(";")[0]
    answer = call(url, "/cookies", headers={"Cookie": "x=1; y=2"})
    assert answer.body == b"x=1; y=2"
    assert [cookie.split(";")[0] for cookie in answer.all("set-cookie")] == ["a=1", "b=2"]


def test_a_browser_finds_it_and_its_scripts_call_it(application, browse):
    url, name = application
    page = browse(url)
    assert f"<h1>Hello from {name}</h1>" in page and '<p id="said">item 7, a b</p>' in page


READER = """
import json
def handler(event, context):
    urls = json.dumps(event["queryStringParameters"]["urls"].split(" "))
    script = f"Promise.all({urls}.map(u => fetch(u).then(r => r.text(), () => 'refused'))).then(all => {{ said.textContent = all.join(', ') }})"
    return {"statusCode": 200, "headers": {"content-type": "text/html"}, "body": f"<p id=said>...</p><script>{script}</script>"}
"""


def test_a_page_reads_only_what_lets_it(server, client, deploy, browse):
    code = "def handler(event, context): return 'ran'"
    reader = public(client, deploy(READER).name)
    origin = reader.rstrip("/")
    private, shared, others = (public(client, deploy(code).name, **cors) for cors in [{}, {"Cors": {"AllowOrigins": [origin]}}, {"Cors": {"AllowOrigins": ["https://a.example"]}}])
    api = [f"http://{host}:{server.port}/2015-03-31/functions" for host in ("localhost", "127.0.0.1")]
    page = browse(reader + "?urls=" + urllib.parse.quote(" ".join([private, shared, others, *api])))
    assert re.search(r'<p id="said">(.*?)</p>', page)[1] == "refused, ran, refused, refused, refused"
