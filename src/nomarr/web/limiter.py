"""How often somebody may try to log in."""

from __future__ import annotations

import ipaddress
import threading
from collections import deque

from nomarr.errors import TooManyRequests

WINDOW_S = 60
ATTEMPTS_PER_ADDRESS = 10
UNHURRIED = 20  # wrong passwords within the window, from all addresses together, that slow nobody down
SLOWER_BY_S = 0.1  # for each one more
LONGEST_PAUSE_S = 3.0  # a person elsewhere who knows the password waits this long at worst
ADDRESSES_KEPT = 10_000


class LoginLimiter:
    """Counts attempts for each address, and all together. A success wipes its address's slate; threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._attempts: dict[str, deque[float]] = {}
        self._all: deque[float] = deque(maxlen=1000)

    def admit(self, address: str, *, now: float) -> float:
        """Count an attempt and say how many seconds it has to wait. TooManyRequests if its address had too many."""
        with self._lock:
            attempts = self._attempts_of(network(address), now)
            if len(attempts) >= ATTEMPTS_PER_ADDRESS:
                wait_s = int(attempts[0] + WINDOW_S - now) + 1
                raise TooManyRequests(
                    f"Too many attempts to log in; try again in {wait_s} seconds", retry_after_s=wait_s
                )
            attempts.append(now)
            _forget(self._all, now)
            self._all.append(now)
            return min(LONGEST_PAUSE_S, SLOWER_BY_S * max(0, len(self._all) - UNHURRIED))

    def succeeded(self, address: str) -> None:
        with self._lock:
            for at in self._attempts.pop(network(address), ()):
                if at in self._all:
                    self._all.remove(at)

    def _attempts_of(self, address: str, now: float) -> deque[float]:
        attempts = self._attempts.pop(address, deque())
        _forget(attempts, now)
        if len(self._attempts) >= ADDRESSES_KEPT:
            del self._attempts[next(iter(self._attempts))]
        self._attempts[address] = attempts  # at the end: the first is the one not heard of for longest
        return attempts


def network(address: str) -> str:
    """Who is counted as one: an IPv4 address, or a /64 of IPv6, for anybody has a whole one of those."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if ip.version == 4:
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip, 64), strict=False))


def _forget(attempts: deque[float], now: float) -> None:
    while attempts and attempts[0] <= now - WINDOW_S:
        attempts.popleft()
