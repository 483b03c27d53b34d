"""The ASGI application: a lean dispatcher in front of MLflow's own scoring app, whose middleware costs every route.

POST /predict
  {"user_id", "ad_id", "features"?}                                one ad
  {"user_id", "ads": [{"ad_id", "features"?}, ...], "features"?}   a slate; an ad's features go over the request's
  -> {"request_id", "model_version", "source", "counts_as_of", "variant", "predictions": [{"ad_id", "probability",
     "prediction_id", "impression_id"}, ...]}; for one ad its prediction's fields stand in place of "predictions".
  `features` are text, numbers or booleans; `position` among them is the slot. `source` is the rung of the ladder that
  answered (serving.scoring). The answer is given once its records are on disk.
POST /event/impression, /event/click, /catalog/ads, /catalog/users: serving.collector.
PUT /model/activate/{version}: serving.activation.
POST /model/upload, GET /model/versions/{version}: serving.uploads.
GET /model/active, GET /health, GET /healthz/live, GET /healthz/ready: serving.status. GET /metrics: serving.metrics.
GET /openapi.json, GET /docs: serving.openapi.
/invocations, /ping, /version: MLflow's own answers, from the same loaded model.
A refusal is a problem document: serving.problems. Which role a route needs: serving.access.

What takes a JSON body is in `json_routes`: serving.direct answers most of it without the messages of ASGI in between.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache, partial

from data_contracts.pseudonym import load_key, pseudonym
from data_contracts.settings import Settings
from serving.access import Access, role_for
from serving.activation import Activator, etag
from serving.background import Repeated
from serving.bodies import DisconnectedError, answered_by_mlflow, check_any_content_type, json_body, whole_body
from serving.booster_file import MOST_BYTES
from serving.collector import collectors
from serving.counts import SnapshotWatch
from serving.direct import JsonRoute
from serving.event_log import EventLog
from serving.garbage import FULL_SECONDS, collect
from serving.loaded_model import Message, Receive, Send
from serving.metrics import CONTENT_TYPE, Metrics
from serving.models import ModelWatch
from serving.openapi import ApiPages
from serving.predict import Predictor
from serving.problems import OnceStored, ProblemError, Response, failed, json_response, overloaded, unavailable
from serving.shadowing import Shadowing
from serving.status import active_model, health, readiness
from serving.uploads import Uploads
from serving.work_queue import WorkQueue

MLFLOW_ROUTES = {"/invocations": "POST", "/ping": "GET", "/version": "GET"}
ACTIVATE, VERSION = "/model/activate/{version}", "/model/versions/{version}"
STOP_SECONDS = 1.0
KEYS_SECONDS = 1.0
"""How long a removed key may go on."""
REMEMBERED_PSEUDONYMS = 100_000

Handler = Callable[[Message, Receive], Awaitable[Response]]


class Application:
    """Everything one serving process holds; started and stopped by the lifespan protocol."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        limits = settings.serving
        self.body_limit_bytes, self.connection_limit = limits.body_limit_bytes, limits.connection_limit
        self.receive_seconds = limits.receive_seconds
        self.access = Access(settings)
        self.models = ModelWatch(settings)
        self.snapshots = SnapshotWatch(settings.snapshots)
        self.log = EventLog(settings)
        self.queue = WorkQueue(limits.queue_delay_seconds, limits.in_flight_limit, self.log.submit_round)
        self.pseudonym_of = pseudonym_of = lru_cache(REMEMBERED_PSEUDONYMS)(
            partial(pseudonym, load_key(settings.pseudonym_key))
        )
        self._activator, self._uploads = Activator(settings, self.models), Uploads(settings)
        self.metrics = Metrics()
        self.shadowing = Shadowing(settings, self.models, self.log, self.metrics)
        predictor = Predictor(settings, self.models, self.snapshots, pseudonym_of, self.metrics, self.shadowing)
        every = settings.serving.champion_poll_seconds
        self._watches = (
            Repeated("snapshot-watch", every, self.snapshots.check),
            Repeated("model-watch", every, self.models.check),
            Repeated("metrics", 1.0, self._measure),
            Repeated("key-watch", KEYS_SECONDS, self.access.reload),
            Repeated("garbage", FULL_SECONDS, collect),
            self.shadowing,
        )
        collected = {
            path: collector.collect for path, collector in collectors(settings, self.log, pseudonym_of).items()
        }
        self.json_routes: Mapping[str, JsonRoute] = {"/predict": predictor.predict, **collected}
        self._opted_out_routes = {"/predict": predictor.predict_contextually}
        self._routes = self._own_routes(ApiPages(settings, self.models))

    def _own_routes(self, pages: ApiPages) -> Mapping[str, Mapping[str, Handler]]:
        """By path and method."""
        return {
            "/model/active": {"GET": self._active_model, "HEAD": self._active_model},
            ACTIVATE: {"PUT": self._activate},
            VERSION: {"GET": self._version, "HEAD": self._version},
            "/model/upload": {"POST": self._upload},
            "/health": {"GET": self._health, "HEAD": self._health},
            "/healthz/live": {"GET": _live, "HEAD": _live},
            "/healthz/ready": {"GET": self._ready, "HEAD": self._ready},
            "/metrics": {"GET": self._exposition, "HEAD": self._exposition},
            "/openapi.json": {"GET": pages.document, "HEAD": pages.document},
            "/docs": {"GET": pages.page, "HEAD": pages.page},
            **{path: {"POST": self._with_body(path)} for path in self.json_routes},
        }

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        began = time.perf_counter()
        try:
            handler = self._handler(scope["path"], scope["method"])
            self.access.check(role_for(scope["path"]), dict(scope["headers"]).get(b"authorization"))
            answer = await (self._by_mlflow(scope, receive, send) if handler is None else handler(scope, receive))
        except DisconnectedError:
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, it is answered
            answer = self.refusal(error)
        if isinstance(answer, Response):
            for message in answer.messages():
                await send(message)
        route, status = self._route(scope["path"]), answer.status if isinstance(answer, Response) else answer
        route = route if route in self._routes or route in MLFLOW_ROUTES else "other"
        self.metrics.answered(route, status, time.perf_counter() - began)

    async def _by_mlflow(self, scope: Message, receive: Receive, send: Send) -> int:
        """Sends MLflow's own answer; its status."""
        champion = self.models.current
        if champion is None:
            raise unavailable("no_model", self.models.problem)
        check_any_content_type(scope)
        body = await whole_body(scope, receive, self._settings.serving.invocations_limit_bytes)
        return await answered_by_mlflow(champion.invocations, scope, body, receive, send)

    def refusal(self, error: Exception) -> Response:
        """The answer to a request that ended in `error`, counted."""
        self.metrics.refused(error.kind if isinstance(error, ProblemError) else "internal_error")
        return failed(error)

    @staticmethod
    def _route(path: str) -> str:
        """The route of a path; what is right below /model/activate/, say, is one's parameter."""
        above = path[: path.rfind("/") + 1]
        return next((route for route in (ACTIVATE, VERSION) if route.rpartition("/")[0] + "/" == above), path)

    def _handler(self, path: str, method: str) -> Handler | None:
        """Ours, or None for MLflow's; raises ProblemError 404 or 405."""
        methods = self._routes.get(self._route(path), {})
        allowed = ", ".join(methods) or MLFLOW_ROUTES.get(path)
        if allowed is None:
            raise ProblemError(404, "not_found", "no such path: /docs tells which there are")
        if method not in methods and method != MLFLOW_ROUTES.get(path):
            raise ProblemError(405, "method_not_allowed", f"allowed: {allowed}", headers={"allow": allowed})
        return methods.get(method)

    def _with_body(self, path: str) -> Handler:
        """The route of a path; that for who opts out (Global Privacy Control, W3C) where there is one."""
        route = self.json_routes[path]
        opted_out = self._opted_out_routes.get(path, route)

        async def handler(scope: Message, receive: Receive) -> Response:
            body = await json_body(scope, receive, self.body_limit_bytes)
            if self.queue.is_full:
                raise overloaded()
            asked = opted_out if dict(scope["headers"]).get(b"sec-gpc") == b"1" else route
            answer = await self.queue.result_of(partial(asked, body), len(body))
            if isinstance(answer, OnceStored):
                return await self._given(answer)
            return answer if isinstance(answer, Response) else await answer

        return handler

    async def _given(self, answer: OnceStored) -> Response:
        try:
            await self.log.store(answer.rows)
        except OSError as error:
            raise answer.refused(error) from None
        return answer.response

    async def _active_model(self, scope: Message, receive: Receive) -> Response:
        told = json_response(active_model(self._settings, self.models))
        champion = self.models.current
        return Response(told.status, told.body, headers={"etag": etag(champion.version if champion else None)})

    async def _activate(self, scope: Message, receive: Receive) -> Response:
        headers = dict(scope["headers"])
        body = await whole_body(scope, receive, self.body_limit_bytes)
        who, is_admin = self.access.asker(headers.get(b"authorization"))
        if_match = headers.get(b"if-match", b"").decode("latin-1")
        return await self._activator.activate(_last_part(scope), body, if_match, who, is_admin)

    async def _upload(self, scope: Message, receive: Receive) -> Response:
        headers = dict(scope["headers"])
        check_any_content_type(scope)
        body = await whole_body(scope, receive, MOST_BYTES)
        who, _ = self.access.asker(headers.get(b"authorization"))
        return await self._uploads.upload(body, headers, scope["query_string"], who)

    async def _version(self, scope: Message, receive: Receive) -> Response:
        return await self._uploads.status(_last_part(scope))

    async def _health(self, scope: Message, receive: Receive) -> Response:
        return json_response(health(self._settings, self.models, self.snapshots, self.log, self.access))

    async def _ready(self, scope: Message, receive: Receive) -> Response:
        told = readiness(self.models, self.snapshots, self.log)
        return json_response(told, 200 if told["status"] == "ready" else 503)

    async def _exposition(self, scope: Message, receive: Receive) -> Response:
        return Response(200, self.metrics.exposition(), CONTENT_TYPE)

    def _measure(self) -> None:
        now, snapshot, in_use = self._settings.clock.now(), self.snapshots.current, self.models.in_use
        self.metrics.state(
            log_queue_bytes=self.log.waiting_bytes,
            is_log_failing=bool(self.log.problem),
            in_flight=self.queue.in_flight,
            snapshot_age=None if snapshot is None else snapshot.age(now),
            versions={alias: model.version for alias, model in in_use.by_alias.items()},
            failures=in_use.champion.failures if in_use.champion else 0,
        )

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self.log.start()
                for watch in self._watches:
                    watch.start()
            else:
                for watch in self._watches:
                    watch.stop(STOP_SECONDS / 10)
                self.log.stop(STOP_SECONDS)
                self.snapshots.close()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return


def _last_part(scope: Message) -> str:
    path: str = scope["path"]
    return path.rpartition("/")[2]


async def _live(scope: Message, receive: Receive) -> Response:
    return json_response({"status": "live"})
