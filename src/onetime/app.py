"""build(settings) -> App: the one place that names an adapter or reads a clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onetime.core.vault import Vault
    from onetime.metrics import Metrics
    from onetime.settings import Settings
    from onetime.storage.port import VaultStore


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """What every way in holds."""

    settings: Settings
    store: VaultStore
    vault: Vault
    metrics: Metrics

    @property
    def body_limit(self) -> int:
        """Bytes of a request body: the largest secret in the least compact spelling (JSON escapes: six for one), and room
        for the other fields.
        """
        return 6 * self.settings.max_secret_bytes + 65_536
