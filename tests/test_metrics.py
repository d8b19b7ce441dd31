"""Metrics count and cannot name anybody."""

import re

from onetime.metrics import BUCKETS, Metrics

SAMPLE = re.compile(r'[a-z_]+(\{[a-z]+="[^"\\\n]*"(,[a-z]+="[^"\\\n]*")*\})? [0-9.]+')


def test_the_text_is_the_exposition_format() -> None:
    metrics = Metrics()
    metrics.request(method="GET", route="/secret/{key}", status=200, seconds=0.003)
    metrics.swept(secrets=2, receipts=1)

    text = metrics.text()

    assert text.endswith("\n")
    for line in text.splitlines():
        assert line.startswith("# TYPE ") or SAMPLE.fullmatch(line), line
    assert 'onetime_requests_total{method="GET",route="/secret/{key}",status="2xx"} 1' in text
    assert 'onetime_swept_total{what="secret"} 2' in text


def test_statuses_are_counted_by_class() -> None:
    metrics = Metrics()
    for status in range(200, 600):
        metrics.request(method="GET", route="/", status=status, seconds=0)

    assert metrics.text().count("onetime_requests_total{") == 4


def test_buckets_add_up() -> None:
    metrics = Metrics()
    for seconds in (0.0, *BUCKETS, 100.0):
        metrics.request(method="GET", route="/", status=200, seconds=seconds)

    found = re.findall(r'_bucket\{le="[^"]+"\} (\d+)', metrics.text())

    assert [int(count) for count in found] == [*range(2, len(BUCKETS) + 2), len(BUCKETS) + 2]
    assert f"onetime_request_seconds_count {len(BUCKETS) + 2}" in metrics.text()
