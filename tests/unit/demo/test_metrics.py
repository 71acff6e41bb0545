"""The same instruments, pushed and scraped."""

from __future__ import annotations

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from demo.shop.metrics import Meter, PushMeter, ScrapeMeter


def use(meter: Meter) -> None:
    meter.count("shop.orders.placed", 2)
    meter.count("payment.charges", 1, {"outcome": "approved"})
    meter.time("http.server.request.duration", 0.02, {"http.route": "/charges"})
    meter.watch("disk.used_ratio", "1", lambda: 0.25)
    meter.watch("recommendation.click_ratio", "1", lambda: None)
    meter.watch_total("process.cpu.time", "s", lambda: 1.5)


def test_a_scrape_shows_prometheus_names_and_units() -> None:
    meter = ScrapeMeter()
    use(meter)
    lines = [line for line in meter.expose().decode().splitlines() if not line.startswith("#")]
    assert "shop_orders_placed_total 2.0" in lines
    assert 'payment_charges_total{outcome="approved"} 1.0' in lines
    assert 'http_server_request_duration_seconds_bucket{http_route="/charges",le="0.025"} 1.0' in lines
    assert "disk_used_ratio 0.25" in lines
    assert "process_cpu_time_seconds_total 1.5" in lines
    assert not [line for line in lines if "_created" in line or "click_ratio" in line]


def test_a_push_holds_the_same_values_and_leaves_out_what_is_unknown() -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    use(PushMeter(provider))
    data = reader.get_metrics_data()
    provider.shutdown()
    [scope] = data.resource_metrics[0].scope_metrics
    found = {metric.name: list(metric.data.data_points) for metric in scope.metrics}
    assert found["shop.orders.placed"][0].value == 2
    assert found["http.server.request.duration"][0].sum == 0.02
    assert found["disk.used_ratio"][0].value == 0.25
    assert found["process.cpu.time"][0].value == 1.5
    assert not found.get("recommendation.click_ratio")
