"""The HTTP door: the routes that Feast's clients call, and what a cluster asks of a server. Plain ASGI.

Small requests are answered where they come in: reading takes less time than handing them to a thread. Large ones, those
that a server elsewhere is asked for, and whatever writes wait their turn in threads, so that the others are answered
meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from time import perf_counter
from urllib.parse import parse_qs

import msgspec

from penstock.errors import PenstockError, RequestError
from penstock.features.views.bound import Bound, BoundOnDemand, BoundView
from penstock.lake.streams.asgi import AnswerError, Headers, Receive, Scope, Send, admit, body_of, headers_of
from penstock.serving import bodies
from penstock.serving.begins import Begins
from penstock.serving.faults import Answer, failure, fault, refusal, unrouted
from penstock.serving.limits import USUAL, Limits, at_most
from penstock.serving.materializing import Materializing, check_window
from penstock.serving.metrics import Metrics
from penstock.serving.naming import Named, check_names, known_source, known_view, named
from penstock.serving.openapi import described
from penstock.serving.service import Destination, FeatureService
from penstock.serving.tables import table
from penstock.serving.turns import Turns
from penstock.serving.writing import written

_DOOR = "SERVE"
_KEPT_NAMES, _KEPT_LENGTH = 256, 1000
_NULL = Answer(200, b"null")
_log = logging.getLogger("penstock.serving")


@dataclass
class ServingApp:
    """A feature service over HTTP. Without a token only this machine's programs are answered."""

    service: FeatureService
    token: str | None = None
    limits: Limits = USUAL
    metrics: Metrics = field(default_factory=Metrics.alone)
    heads: dict[bytes, int] = field(default_factory=dict)
    """Heads of requests that were admitted, each with the length of the body that it announces."""
    _bound: Bound | None = None
    _begins: Begins[Named] = field(default_factory=Begins)
    _names: dict[tuple[object, ...], Named] = field(default_factory=dict)
    _large: int = 0

    def __post_init__(self) -> None:
        limits, alone = self.limits, self.service.wait is None
        self._readers = Turns("serving-reads", 1 if alone else limits.readers, limits.waiting)
        self._writers = Turns("serving-writes", limits.writers, limits.waiting)
        self._syncs = ThreadPoolExecutor(2, "serving-syncs")
        self._materializing = Materializing(self.service)
        self._routes: Mapping[str, tuple[str, Callable[[bytes, str], Awaitable[Answer]]]] = {
            "/get-online-features": ("POST", self._read),
            "/push": ("POST", self._push),
            "/write-to-online-store": ("POST", self._write),
            "/materialize": ("POST", self._materialize),
            "/materialize-incremental": ("POST", self._materialize_incremental),
            "/health": ("GET", self._health),
            "/metrics": ("GET", self._metrics),
            "/openapi.json": ("GET", self._openapi),
        }

    def close(self) -> None:
        """Finish what its threads do."""
        self._readers.close()
        self._writers.close()
        self._syncs.shutdown()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        began = perf_counter()
        path = str(scope["path"])
        answer = await self._answer(path, scope, receive)
        headers = [
            (b"content-type", answer.kind),
            (b"content-length", str(len(answer.body)).encode()),
            *answer.headers,
        ]
        self.metrics.request(path, answer.status, perf_counter() - began)  # whoever has an answer finds it counted
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _answer(self, path: str, scope: Scope, receive: Receive) -> Answer:
        try:
            return await self._routed(path, scope, receive)
        except Exception as error:  # noqa: BLE001  # a worker outlives every request
            return _told(error, f"{scope['method']} {path[:200]}")

    def quick(self, headers: Headers | None, body: bytes) -> Answer | None:
        """The answer to a request for features, worked out here and now; None where a thread had better do it.

        Without headers it comes from who was admitted before.
        """
        began, path = perf_counter(), "/get-online-features"
        try:
            if headers is not None:
                admit(headers, self.token, _DOOR)
            if len(body) > self.limits.body or self._large or self.service.wait is not None:
                return None
            columns, wanted = self._asked(body)
            if wanted is None or self._counted(columns, wanted) > self.limits.at_once:
                return None
            answer = self._answered(columns, wanted)
        except Exception as error:  # noqa: BLE001  # a worker outlives every request
            answer = _told(error, f"POST {path}")
        self.metrics.request(path, answer.status, perf_counter() - began)
        return answer

    async def _routed(self, path: str, scope: Scope, receive: Receive) -> Answer:
        headers = headers_of(scope)
        if path not in self._routes:
            raise unrouted(path, self._routes)
        method, handler = self._routes[path]
        if path != "/health":
            admit(headers, self.token, _DOOR)
        asked = scope["method"]
        if asked != method and not (asked == "HEAD" and method == "GET"):
            raise AnswerError(405, "SERVE_METHOD", f"{path} takes {method}", allow=method)
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise AnswerError(415, "SERVE_ENCODING", "bodies are taken as they are, not compressed")
        body = await body_of(receive, headers, self.limits.body, _DOOR) if method == "POST" else b""
        query = scope.get("query_string", b"")
        return await handler(body, query.decode("latin-1") if isinstance(query, bytes) else "")

    # ------------------------------------------------------------------------------------------------- reading

    async def _read(self, body: bytes, _query: str) -> Answer:
        (columns, wanted), wait = self._asked(body), self.service.wait
        if wanted is None:
            await self._readers.do(wait, self.service.look_again)
            wanted = self._named(bodies.read(body, bodies.Ask))
        values = self._counted(columns, wanted)
        if wait is None and values <= self.limits.at_once and not self._large:
            return self._answered(columns, wanted)
        self._large += 1
        try:
            return await self._readers.do(self.limits.patience(wait, values), self._answered, columns, wanted)
        finally:
            self._large -= 1

    def _asked(self, body: bytes) -> tuple[bodies.Columns, Named | None]:
        """Whom a request is about, and what it wants; None where there is no such thing, as far as is known."""
        if self.service.bound is self._bound and (known := self._begins.find(body)) is not None:
            return known
        ask = bodies.read(body, bodies.Ask)
        try:
            wanted = self._named(ask)
        except PenstockError:
            return ask.entities, None
        self._begins.keep(body, wanted)
        return ask.entities, wanted

    def _named(self, ask: bodies.Ask) -> Named:
        bound = self.service.bound
        chosen: tuple[object, ...] = tuple(ask.features or ()) if ask.feature_service is None else ()
        if bound is not self._bound:  # the definitions were read anew
            self._bound, self._begins, self._names = bound, Begins(), {}
        asked = (ask.feature_service, ask.full_feature_names, ask.include_feature_view_version_metadata, *chosen)
        found = self._names.get(asked)
        if found is None:
            found = self._resolved(ask)
            if len(self._names) >= _KEPT_NAMES:
                self._names.clear()
            if len(chosen) <= _KEPT_LENGTH:
                self._names[asked] = found
        return found

    def _resolved(self, ask: bodies.Ask) -> Named:
        bound, features = self.service.bound, ask.features or []
        if ask.feature_service is None and not features:
            raise RequestError("SERVE_FEATURES", "the request names neither features nor a feature_service")
        at_most(len(features), self.limits.features, "features")
        check_names(bound, ask.feature_service, features)
        wanted = named(bound, ask.feature_service or features, full=ask.full_feature_names)
        return wanted if ask.include_feature_view_version_metadata else replace(wanted, views=())

    def _counted(self, columns: bodies.Columns, wanted: Named) -> int:
        """How many values are asked for. Raises ``RequestError`` where that is too many."""
        rows, features, limits = max(map(len, columns.values()), default=0), len(wanted.features), self.limits
        if features > limits.features or rows > limits.entities or rows * features > limits.values:
            at_most(features, limits.features, "features")
            at_most(rows, limits.entities, "entities")
            at_most(rows * features, limits.values, "values")
        return rows * features

    def _answered(self, columns: bodies.Columns, wanted: Named) -> Answer:
        try:
            keys, requested = wanted.given(columns)
            online = self.service.read(wanted.features, keys, requested=requested or None, full_names=wanted.full)
        except RecursionError:
            raise AnswerError(422, "SERVE_BODY", "the body is nested too deeply") from None
        told = keys if keys is columns else {name: column for name, column in columns.items() if name in keys}
        text, tallies = written(online, told, wanted.dtypes, wanted.views)
        self.metrics.read(len(online.values[0]) if online.values else 0, tallies)
        return Answer(200, text)

    # ------------------------------------------------------------------------------------------------- writing

    async def _push(self, body: bytes, _query: str) -> Answer:
        ask = bodies.read(body, bodies.Push)
        await self._pushed(known_source(self.service.bound, ask.push_source_name), ask.df, ask.to)
        return Answer(200)

    async def _write(self, body: bytes, _query: str) -> Answer:
        ask = bodies.read(body, bodies.Write)
        await self._pushed(known_view(self.service.bound, ask.feature_view_name), ask.df, "online")
        return _NULL

    async def _pushed(
        self, view: BoundView | BoundOnDemand, columns: Mapping[str, list[object]], to: Destination
    ) -> None:
        if isinstance(view, BoundOnDemand):
            message = f"{view.name} is worked out on demand: it takes no rows"
            raise RequestError("SERVE_ON_DEMAND", message, name=view.name)
        at_most(max(map(len, columns.values()), default=0), self.limits.entities, "rows")
        self.metrics.pushed(await self._writers.do(None, self._taken, view, columns, to))

    def _taken(self, view: BoundView, columns: Mapping[str, list[object]], to: Destination) -> int:
        return self.service.push(view.name, table(view, columns), to)

    async def _materialize(self, body: bytes, query: str) -> Answer:
        ask = bodies.read(body, bodies.Materialize)
        views = self._views(ask.feature_views)
        if not ask.disable_event_timestamp:
            check_window(ask.start_ts, ask.end_ts)
        return await self._materialized(views, query)

    async def _materialize_incremental(self, body: bytes, query: str) -> Answer:
        ask = bodies.read(body, bodies.MaterializeIncremental)
        views = self._views(ask.feature_views)
        check_window("0001-01-01", ask.end_ts)
        return await self._materialized(views, query)

    def _views(self, asked: list[str] | None) -> tuple[str, ...]:
        bound = self.service.bound
        if asked is None:
            return tuple(bound.views)
        for name in asked:
            known_view(bound, name)
        return tuple(name for name in dict.fromkeys(asked) if name in bound.views)

    async def _materialized(self, views: tuple[str, ...], query: str) -> Answer:
        alone = parse_qs(query).get("async", [""])[0].lower() in ("true", "1", "yes", "on")
        if taken := self._materializing.begin(views):
            message = f"already being materialized: {', '.join(taken)}"
            return Answer(409, msgspec.json.encode({"error": message, "feature_views": taken}))
        loop = asyncio.get_running_loop()
        if alone:
            loop.run_in_executor(self._syncs, self._materializing.run_alone, views)
            return Answer(202, msgspec.json.encode({"status": "accepted", "feature_views": views}))
        await loop.run_in_executor(self._syncs, self._materializing.run, views)
        return _NULL

    # ------------------------------------------------------------------------------------------------- of itself

    async def _health(self, _body: bytes, _query: str) -> Answer:
        _ = self.service.bound
        return Answer(200)

    async def _metrics(self, _body: bytes, _query: str) -> Answer:
        return Answer(200, self.metrics.text(), b"text/plain; version=0.0.4; charset=utf-8")

    async def _openapi(self, _body: bytes, _query: str) -> Answer:
        return Answer(200, msgspec.json.encode(described(self.limits)))


def _told(error: Exception, what: str) -> Answer:
    """An error as an answer; of one that nobody foresaw only a number is told, under which it is logged."""
    if isinstance(error, AnswerError):
        return refusal(error)
    if isinstance(error, PenstockError):
        return fault(error)
    number = uuid.uuid4().hex[:12]
    _log.error("%s failed (%s)", what, number, exc_info=error)
    return failure(number)
