"""How far a running trial is: `/progress` of its rank 0, asked by pod IP. `observe` calls it.

For people alone: nothing is decided by it. What answers is a pod of the user's, so it is bounded in
size and time, no redirect is followed, no proxy is asked, and what is not as it should be is None.
"""

import asyncio
import ipaddress
import json
import math
from typing import Any

import aiohttp

from scalingsweep import quantity
from scalingsweep.api.scalingtrial import TrialProgress

MAX_BYTES = 16_384
TIMEOUT_SECONDS = 2.0
_MOST = 10**18
_HOUR, _DAY = 3600, 86_400


async def read(pod_ip: str, port: int) -> TrialProgress | None:
    """Ask once; None where nobody answers, or not in the way that a trainer does."""
    host = _host(pod_ip)
    if host is None:
        return None
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            data = await _get(f"http://{host}:{port}/progress")
    except (aiohttp.ClientError, OSError, ValueError):  # a timeout is an OSError
        return None
    return None if data is None else parse(data)


def parse(data: bytes) -> TrialProgress | None:
    """A trainer's answer; None where it is none, or the trial has not begun."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    step, steps = _count(value.get("step")), _count(value.get("steps"))
    tokens, total = _count(value.get("tokens")), _count(value.get("tokensTotal"))
    if step is None or not steps or tokens is None or not total:
        return None
    return TrialProgress(
        step=step,
        steps=steps,
        tokens=f"{quantity.label(tokens)}/{quantity.label(total)}",
        loss=_rounded(_number(value.get("loss")), 4),
        tokens_per_second=_rounded(_number(value.get("tokensPerSecond"), low=0), 0),
        mfu=_rounded(_number(value.get("mfu"), low=0, high=1), 3),
        eta=_eta(_number(value.get("eta"), low=0, high=9999 * _DAY)),
    )


async def _get(address: str) -> bytes | None:
    """The body, which may not be longer than MAX_BYTES nor packed."""
    async with (
        aiohttp.ClientSession(
            trust_env=False, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
        ) as session,
        session.get(address, allow_redirects=False) as response,
    ):
        if response.status != 200:
            return None
        data = b""
        async for part in response.content.iter_any():
            data += part
            if len(data) > MAX_BYTES:
                return None
        return data


def _host(ip: str) -> str | None:
    """As an address is written in a URL; None for what no pod has, such as a cloud's metadata."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return None
    if address.is_link_local or address.is_multicast or address.is_unspecified or "%" in ip:
        return None
    return f"[{ip}]" if address.version == 6 else ip


def _number(value: Any, low: float = -math.inf, high: float = math.inf) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) and low <= number <= high else None


def _rounded(number: float | None, digits: int) -> float | None:
    """As a table shows it."""
    return None if number is None else round(number, digits)


def _count(value: Any) -> int | None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and 0 <= value <= _MOST else None


def _eta(seconds: float | None) -> str | None:
    """Two parts of a length of time: 42s, 7m, 3h12m, 2d3h."""
    if seconds is None:
        return None
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < _HOUR:
        return f"{whole // 60}m"
    if whole < _DAY:
        return f"{whole // _HOUR}h{whole % _HOUR // 60}m"
    return f"{whole // _DAY}d{whole % _DAY // _HOUR}h"
