"""Health of a process without a release."""

import json

from recsys_assets.api.http.auth import KeyRing
from recsys_assets.api.http.request_metrics import Metrics
from recsys_assets.api.routes.health_controller import HealthController
from recsys_assets.api.serving.live import Live
from recsys_assets.api.serving.service import Service
from recsys_assets.api_settings import ApiSettings
from recsys_assets_tests.api.conftest import NOW


def test_a_process_without_a_release_lives_and_is_not_ready(own):
    live = Live(own)
    service = Service(
        live=live, metrics=Metrics(live), keys=KeyRing(own), settings=ApiSettings(), clock=lambda: NOW
    )
    controller = HealthController.over(service)
    alive, ready = controller.live.fn(controller), controller.ready.fn(controller)
    assert (alive.status, ready.status) == (200, 503)
    assert json.loads(ready.body)["status"] == "unavailable"
