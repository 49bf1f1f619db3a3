"""Raw score -> calibrated score: where a score lies between the 5th and the 95th percentile of its head."""

from __future__ import annotations

from dataclasses import dataclass

NARROWEST = 0.01  # below this the percentiles say nothing about the music, and the raw score stays


@dataclass(frozen=True)
class Calibration:
    """One head's 5th and 95th percentile over a library, raw scores."""

    p5: float
    p95: float

    def apply(self, raw: float) -> float:
        """clamp((raw - p5) / (p95 - p5), 0, 1); raw where the percentiles lie closer than 0.01."""
        width = self.p95 - self.p5
        if width < NARROWEST:
            return raw
        return min(1.0, max(0.0, (raw - self.p5) / width))
