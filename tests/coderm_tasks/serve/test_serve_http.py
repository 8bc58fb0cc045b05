"""The service over HTTP, in this process: answers, statuses, room, metrics."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from lanes import plus
from prometheus_client.parser import text_string_to_metric_families
from serve_bench import BODY_BYTES, HELD, MATRIX, TOKEN, item
from starlette.types import Message

from coderm_tasks.serve.gate import GateRules

JSON = {"Content-Type": "application/json"}


def error(reply: Any) -> tuple[int, str]:
    body = reply.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message"}
    return reply.status_code, body["error"]["code"]


# Answers.


def test_each_item_gets_its_reward_status_and_verdicts(bench):
    no_code = {**item(1), "completion": "I cannot."}
    no_tests = {**item(1), "tests": ["nothing"]}
    reply = bench.post("rewards", {"items": [item(1, 1, 2), no_code, no_tests, item(2)]})
    assert reply.status_code == 200
    rows = [(one["reward"], one["status"], one["verdicts"]) for one in reply.json()["items"]]
    assert rows[0] == (0.5, "judged", "PF")
    assert rows[1][:1] + rows[2][:2] + rows[3] == (0.0, None, "no_tests", 1.0, "judged", "P")


def test_weights_and_options_count(bench):
    weighted = {**item(1, 1, 2), "weights": [3, 1]}
    assert bench.post("rewards", {"items": [weighted]}).json()["items"][0]["reward"] == 0.75
    strict = {"items": [weighted], "options": {"scheme": "all"}}
    assert bench.post("rewards", strict).json()["items"][0]["reward"] == 0.0


def test_a_batch_without_items_is_answered(bench):
    assert bench.post("rewards", {"items": []}).json() == {"items": [], "shared_passes": 0}


def test_a_matrix_tells_letters_and_which_were_shared(real):
    reply = real.post("matrix", MATRIX).json()
    assert reply == {
        "verdicts": ["PFP", "FPP", "PFP", "EEE"],
        "shared": ["..x", "..x", "..x", "..x"],
        "complete": True,
    }


def test_a_matrix_at_its_deadline_says_that_it_is_not_complete(bench):
    held = {**MATRIX, "solutions": [plus(1), HELD["completion"]], "deadline_s": 0.5}
    reply = bench.post("matrix", held).json()
    assert (reply["complete"], reply["verdicts"][1]) == (False, "---")


def test_an_item_at_its_deadline_has_no_reward(bench):
    reply = bench.post("rewards", {"items": [HELD, item(3)], "deadline_s": 0.5}).json()
    assert [(one["reward"], one["status"]) for one in reply["items"]] == [(None, "unjudged"), (1.0, "judged")]


def test_answers_to_many_clients_are_never_mixed(bench):
    bench.admission.limit = 10_000

    async def client(number: int) -> list[str]:
        rows = []
        async with bench.client() as http:
            for turn in range(4):
                body = {"items": [item(number * 10 + turn, *range(number * 10 + turn - 2, number * 10 + turn + 2))]}
                rows.append((await http.post("/v1/rewards", json=body)).json()["items"][0]["verdicts"])
        return rows

    async def all_of_them() -> list[list[str]]:
        return await asyncio.gather(*map(client, range(24)))

    assert asyncio.run(all_of_them()) == [["FFPF"] * 4] * 24


def test_a_slow_request_does_not_hold_the_others(bench):
    async def run() -> int:
        async with bench.client() as http:
            slow = [asyncio.create_task(http.post("/v1/rewards", json={"items": [HELD]})) for _ in range(2)]
            while bench.scheduler.load().running < 2:
                await asyncio.sleep(0.01)
            quick = await http.post("/v1/rewards", json={"items": [item(3)]})
            assert quick.json()["items"][0]["reward"] == 1.0
            waiting = sum(not one.done() for one in slow)
            bench.lanes.release.set()
            await asyncio.gather(*slow)
            return waiting

    assert asyncio.run(run()) == 2


# Who may ask, and what.


@pytest.mark.parametrize("path", ["/v1/rewards", "/v1/matrix", "/metrics", "/openapi.json", "/nowhere"])
@pytest.mark.parametrize("header", [None, "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", "Bearer \xfc"])
def test_without_the_token_nothing_is_told(bench, path, header):
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    reply = bench.ask("POST" if path.startswith("/v1") else "GET", path, token=None, headers=headers)
    assert error(reply) == (401, "unauthorized")
    assert reply.headers["WWW-Authenticate"] == "Bearer"
    assert TOKEN not in reply.text


def test_what_is_shown_of_the_rules_is_without_the_token():
    assert TOKEN not in repr(GateRules(token=TOKEN, body_bytes=1))


def test_health_needs_no_token(bench):
    reply = bench.ask("GET", "/health", token=None)
    assert (reply.status_code, reply.json()["status"], reply.json()["queue"]["limit"]) == (200, "ready", 16)


def test_without_a_token_only_this_machines_own_names_are_answered(bench):
    bench.use(token=None)
    for host, status in {"localhost:80": 200, "127.0.0.1": 200, "[::1]:8000": 200, "evil.example:80": 421}.items():
        reply = bench.ask("POST", "/v1/rewards", token=None, json={"items": []}, headers={"Host": host})
        assert reply.status_code == status, host


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 415),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/json-patch+json"}, 415),
        ({**JSON, "Content-Encoding": "gzip"}, 415),
        ({"Content-Type": "application/JSON; charset=utf-8"}, 200),
    ],
)
def test_a_body_of_another_kind_is_415(bench, headers, status):
    assert bench.ask("POST", "/v1/rewards", content=b'{"items": []}', headers=headers).status_code == status


def test_a_body_that_is_no_json_is_400(bench):
    assert error(bench.ask("POST", "/v1/rewards", content=b"{", headers=JSON)) == (400, "not_json")


@pytest.mark.parametrize("body", [[], {}, {"items": [{}]}, {"items": [], "\ud800\0": 1}])
def test_a_body_that_does_not_fit_is_422(bench, body):
    reply = bench.ask("POST", "/v1/rewards", content=json.dumps(body).encode(), headers=JSON)
    assert error(reply) == (422, "invalid")


def test_an_entry_point_that_is_none_is_422(bench):
    wrong = {**item(1), "entry_point": "\ud800"}
    reply = bench.ask("POST", "/v1/rewards", content=json.dumps({"items": [wrong]}).encode(), headers=JSON)
    assert error(reply) == (422, "invalid_entry_point")


def test_a_body_that_says_it_is_too_large_is_413_before_it_is_read(bench):
    async def run() -> list[Message]:
        sent: list[Message] = []

        async def receive() -> Message:
            raise AssertionError("a byte of the body was read")

        async def send(message: Message) -> None:
            sent.append(message)

        headers = {"host": "localhost", "content-type": "application/json", "authorization": f"Bearer {TOKEN}",
                   "content-length": str(BODY_BYTES + 1)}  # fmt: skip
        await bench.app(scope("/v1/rewards", headers), receive, send)
        return sent

    assert asyncio.run(run())[0]["status"] == 413


def test_a_body_that_turns_out_too_large_is_413(bench):
    async def stream() -> Any:
        for _ in range(20):
            yield b"0" * (BODY_BYTES // 10)

    reply = bench.ask("POST", "/v1/rewards", content=stream(), headers=JSON)
    assert error(reply) == (413, "too_large")
    assert (bench.admission.items, bench.admission.body_bytes) == (0, 0)


def test_a_body_that_does_not_come_is_408_and_gives_its_place_back(bench):
    async def stream() -> Any:
        yield b"{"
        await asyncio.sleep(60)

    assert error(bench.ask("POST", "/v1/rewards", content=stream(), headers=JSON)) == (408, "slow_body")
    assert bench.admission.items == 0


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/v1/rewards", 405), ("POST", "/health", 405),
                                                        ("GET", "/nowhere", 404), ("GET", "/docs", 404)])  # fmt: skip
def test_other_paths_and_methods_have_errors_of_the_same_shape(bench, method, path, status):
    assert error(bench.ask(method, path))[0] == status


# Room.


def test_beyond_the_queue_it_is_429_with_a_time_to_come_again(bench):
    async def run() -> None:
        async with bench.client() as http:
            held = asyncio.create_task(http.post("/v1/rewards", json={"items": [HELD] * 8}))
            more = asyncio.create_task(http.post("/v1/matrix", json={**MATRIX, "solutions": [HELD["completion"]] * 6}))
            while bench.admission.items < 14:
                await asyncio.sleep(0.01)
            too_many = await http.post("/v1/rewards", json={"items": [item(1)] * 3})
            assert error(too_many) == (429, "queue_full")
            assert too_many.headers["Retry-After"] == str(bench.admission.retry_after_s()) == "1"
            fits = asyncio.create_task(http.post("/v1/rewards", json={"items": [HELD] * 2}))
            while bench.admission.items < 16:
                await asyncio.sleep(0.01)
            refused = await http.post("/v1/rewards", content=b"not even read", headers=JSON)
            assert error(refused) == (429, "queue_full")
            bench.lanes.release.set()
            assert [reply.status_code for reply in await asyncio.gather(held, more, fits)] == [200] * 3

    asyncio.run(run())
    assert (bench.admission.items, bench.admission.places, bench.admission.body_bytes) == (0, 0, 0)


def test_the_time_to_come_again_follows_from_what_is_queued_and_the_pace(bench):
    async def run() -> None:
        async with bench.client() as http:
            await http.post("/v1/rewards", json={"items": [item(1)]})  # which is a pace
            bench.admission.pace.answered = lambda items: None
            bench.admission.pace._seconds = 1.5
            held = [asyncio.create_task(http.post("/v1/rewards", json={"items": [HELD] * 7})) for _ in range(2)]
            while bench.admission.items < 14:
                await asyncio.sleep(0.01)
            refused = await http.post("/v1/rewards", json={"items": [item(1)] * 3})
            assert error(refused) == (429, "queue_full")
            assert refused.headers["Retry-After"] == "23"  # fourteen are held, and this request counts as one
            bench.lanes.release.set()
            await asyncio.gather(*held)

    asyncio.run(run())


def test_what_is_judged_sets_the_pace_and_what_is_refused_does_not(bench):
    before = bench.admission.pace._seconds
    bench.post("rewards", [])
    assert bench.admission.pace._seconds is before is None
    bench.post("rewards", {"items": [item(1)]})
    assert bench.admission.pace._seconds > 0


def test_bodies_together_may_not_be_larger_than_the_memory_set_aside(bench):
    bench.admission.body_limit = 30
    assert error(bench.post("rewards", {"items": [item(1)]})) == (429, "queue_full")
    assert bench.admission.body_bytes == 0


def test_while_it_drains_work_is_503_and_health_says_so(bench):
    bench.admission.draining = True
    reply = bench.post("rewards", {"items": []})
    assert error(reply) == (503, "draining")
    assert "Retry-After" in reply.headers
    health = bench.ask("GET", "/health")
    assert (health.status_code, health.json()["status"]) == (503, "draining")


def test_a_client_that_leaves_frees_its_place_and_its_lane(bench, until):
    async def run() -> list[Message]:
        body = json.dumps({"items": [HELD] * 3}).encode()
        sent: list[Message] = []
        messages = [{"type": "http.request", "body": body}]

        async def receive() -> Message:
            if messages:
                return messages.pop()
            while not bench.scheduler.load().running:
                await asyncio.sleep(0.01)
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)

        headers = {"host": "localhost", "content-type": "application/json", "authorization": f"Bearer {TOKEN}"}
        await bench.app(scope("/v1/rewards", headers), receive, send)
        return sent

    assert asyncio.run(run()) == []
    assert (bench.admission.items, bench.scheduler.load().batches, bench.scheduler.load().waiting) == (0, 0, 0)
    until(lambda: bench.scheduler.load().running == 0)
    assert 'status="499"' in bench.ask("GET", "/metrics").text


# Failures.


def test_a_sandbox_that_fails_is_503_for_its_request_alone(bench):
    bench.lanes.failures[:] = ["/secret/path broke"] * 3
    reply = bench.post("rewards", {"items": [item(1)]})
    assert error(reply) == (503, "sandbox_failed")
    assert "/secret/path" not in reply.text
    assert bench.ask("GET", "/health").json()["sandbox"] == "failed"
    assert bench.post("rewards", {"items": [item(1)]}).json()["items"][0]["reward"] == 1.0
    assert bench.ask("GET", "/health").json()["sandbox"] == "works"


def test_an_error_of_our_own_is_500_of_the_same_shape(bench, monkeypatch):
    async def broken(*arguments: Any) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(bench.service, "rewards", broken)

    async def run() -> Any:
        async with bench.client(raise_app_exceptions=False) as http:
            return await http.post("/v1/rewards", json={"items": []})

    reply = asyncio.run(run())
    assert error(reply) == (500, "internal")
    assert "secret" not in reply.text
    assert bench.admission.items == 0


# What it tells about itself.


def test_metrics_count_what_was_answered(bench):
    bench.post("rewards", {"items": [item(1, 1, 2), {**item(1), "completion": ""}]})
    bench.post("matrix", {**MATRIX, "tests": MATRIX["tests"][:2]})
    bench.post("rewards", [])
    bench.ask("GET", "/nowhere/else")
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(bench.ask("GET", "/metrics").text)
        for sample in family.samples
    }
    assert found["coderm_requests_total", "/v1/rewards", "200"] == 1
    assert found["coderm_requests_total", "/v1/rewards", "422"] == 1
    assert found["coderm_requests_total", "other", "404"] == 1
    assert found["coderm_rewards_total", "judged"] == found["coderm_rewards_total", "no_code"] == 1
    assert found["coderm_verdicts_total", "P"] == 4
    assert found["coderm_queue_limit",] == 16
    assert found["coderm_queue_items",] == found["coderm_lanes_running",] == 0


def test_the_documents_examples_are_answered_as_it_says(real):
    document = real.ask("GET", "/openapi.json").json()
    for path in ("/v1/rewards", "/v1/matrix"):
        operation = document["paths"][path]["post"]
        body = operation["requestBody"]["content"]["application/json"]["example"]
        said = operation["responses"]["200"]["content"]["application/json"]["example"]
        assert real.ask("POST", path, json=body).json() == said


def test_the_document_names_every_status_and_the_token(bench):
    document = bench.ask("GET", "/openapi.json").json()
    statuses = set(document["paths"]["/v1/rewards"]["post"]["responses"])
    assert statuses == {"200", "400", "401", "408", "413", "415", "421", "422", "429", "500", "503"}
    assert document["components"]["securitySchemes"]["token"] == {"type": "http", "scheme": "bearer"}
    assert document["paths"]["/health"]["get"]["security"] == []


def test_the_document_names_every_code_of_an_error_with_more_than_one(bench):
    found = bench.ask("GET", "/openapi.json").json()["paths"]["/v1/rewards"]["post"]["responses"]
    codes = {status: set(found[status]["content"]["application/json"]["examples"]) for status in ("422", "503")}
    assert codes["422"] == {"invalid", "too_many", "unreadable", "invalid_entry_point", "unknown_entry_point"}
    assert codes["503"] == {"sandbox_failed", "draining", "overloaded"}
    assert "unknown_entry_point" in json.dumps(bench.ask("GET", "/openapi.json").json()["components"]["schemas"])


def scope(path: str, headers: dict[str, str]) -> dict[str, Any]:
    return {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "path": path,
            "raw_path": path.encode(), "query_string": b"", "root_path": "", "scheme": "http", "server": ("localhost", 80),
            "client": ("127.0.0.1", 1), "headers": [(name.encode(), value.encode()) for name, value in headers.items()]}  # fmt: skip
