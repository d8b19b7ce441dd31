"""Counters, none of which can name a person. Labels are bounded: route templates, methods and status classes.

Text format: Prometheus exposition, version 0.0.4.
"""

from __future__ import annotations

from collections import Counter

# Upper bounds in seconds of the buckets of a request's duration.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


class Metrics:
    def __init__(self) -> None:
        self._requests: Counter[tuple[str, str, str]] = Counter()
        self._buckets: Counter[float] = Counter()
        self._seconds = 0.0
        self._swept: Counter[str] = Counter()

    def request(self, *, method: str, route: str, status: int, seconds: float) -> None:
        self._requests[method, route, f"{status // 100}xx"] += 1
        self._seconds += seconds
        for bound in BUCKETS:
            if seconds <= bound:
                self._buckets[bound] += 1
                break

    def swept(self, *, secrets: int, receipts: int) -> None:
        self._swept["secret"] += secrets
        self._swept["receipt"] += receipts

    def text(self) -> str:
        lines = ["# TYPE onetime_requests_total counter"]
        for (method, route, status), count in sorted(self._requests.items()):
            labels = f'method="{method}",route="{route}",status="{status}"'
            lines.append(f"onetime_requests_total{{{labels}}} {count}")
        lines.append("# TYPE onetime_request_seconds histogram")
        total = sum(self._requests.values())
        below = 0
        for bound in BUCKETS:
            below += self._buckets[bound]
            lines.append(f'onetime_request_seconds_bucket{{le="{bound}"}} {below}')
        lines.append(f'onetime_request_seconds_bucket{{le="+Inf"}} {total}')
        lines.append(f"onetime_request_seconds_sum {self._seconds:.6f}")
        lines.append(f"onetime_request_seconds_count {total}")
        lines.append("# TYPE onetime_swept_total counter")
        lines.extend(
            f'onetime_swept_total{{what="{what}"}} {count}'
            for what, count in sorted(self._swept.items())
        )
        return "\n".join(lines) + "\n"
