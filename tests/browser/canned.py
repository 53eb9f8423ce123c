"""What a busy proxy would answer on the paths that the dashboard reads, in the API's shapes."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any

Json = dict[str, Any]

PROVIDERS = {
    "gemini": ("gemini-2.5-flash", 0.42, 620),
    "groq": ("openai/gpt-oss-20b", 0.27, 190),
    "openai": ("gpt-5-mini", 0.17, 1_150),
    "deepseek": ("deepseek-chat", 0.09, 1_900),
    "workers-ai": ("@cf/meta/llama-3.1-8b-instruct-fp8", 0.05, 840),
}
"""Each with a model, its share of the requests and its usual latency in ms."""
USERS = ("billing-service", "ann", "support-bot", "ben", "nightly-eval", "carol")
UNITS = {"m": 60, "h": 3_600, "d": 86_400}
COUNTS = (
    *("requests", "errors", "limited", "clientGone", "cacheHits", "fallbacks", "attempts"),
    *("failedAttempts", "inputTokens", "outputTokens", "cachedTokens", "reasoningTokens"),
    *("cost", "costSaved", "unpriced", "bytesIn", "bytesOut"),
)
VERSION = {"environment": "development", "version": "0.1.0"}
TIERS = ("memory", "kv", "r2", "flight", "stale", "miss", "bypass")


def seconds(window: str) -> int:
    """`15m` as seconds."""
    return int(window[:-1]) * UNITS[window[-1]]


def stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def figures(requests: int, latency: int = 0, dice: Random | None = None) -> Json:
    """FIGURES of so many requests; without any, what an empty minute has."""
    dice = dice or Random(1)
    errors = min(requests, round(requests * 0.03 * dice.random() * 1.6))
    limited = errors // 4
    hits = round((requests - errors) * (0.34 + 0.1 * dice.random()))
    misses = requests - errors - hits
    found = {"memory": round(hits * 0.71), "kv": round(hits * 0.2), "r2": round(hits * 0.05)}
    rest = hits - sum(found.values())
    cost = misses * 0.00042
    told: Json = dict.fromkeys(COUNTS, 0)
    told |= {"requests": requests, "errors": errors, "limited": limited, "cacheHits": hits}
    told |= {"fallbacks": misses // 40, "attempts": misses + errors, "failedAttempts": errors}
    told |= {"inputTokens": misses * 410, "outputTokens": misses * 155, "cost": cost}
    told |= {"costSaved": hits * 0.00040, "bytesIn": requests * 900, "bytesOut": requests * 2_100}
    told["cache"] = dict.fromkeys(TIERS, 0) | found
    told["cache"] |= {"flight": max(rest, 0), "miss": misses, "bypass": errors // 2}
    told["latencyMs"] = dict.fromkeys(("p50", "p95", "p99", "mean"))
    told["firstTokenMs"] = dict.fromkeys(("p50", "p95", "p99"))
    if requests:
        base = latency * (0.85 + 0.3 * dice.random())
        times = {"p50": base, "p95": base * 2.6, "p99": base * 4.4}
        told["latencyMs"] = {name: round(ms) for name, ms in (times | {"mean": base * 1.2}).items()}
        told["firstTokenMs"] = {name: round(ms * 0.45) for name, ms in times.items()}
    return told


def series(moments: range, scale: float, latency: int, seed: int) -> list[Json]:
    """A day's rise and fall, with some noise, at moments that are a step apart."""
    dice, width = Random(seed), moments.step
    points = []
    for at in moments:
        wave = 1 + 0.55 * math.sin(at / 900) + 0.25 * math.sin(at / 240)
        requests = round(max(0.0, scale * width / 60 * wave * (0.8 + 0.4 * dice.random())))
        points.append({"at": stamp(at), **figures(requests, latency, dice)})
    return points


def summed(parts: Sequence[Json]) -> Json:
    """The sum of some figures; percentiles are their mean, which is near enough to look at."""
    total = figures(sum(part["requests"] for part in parts))
    for kind in ("latencyMs", "firstTokenMs"):
        for name in total[kind]:
            known = [p for p in parts if p[kind][name] is not None]
            weight = sum(part["requests"] for part in known)
            value = sum(part[kind][name] * part["requests"] for part in known)
            total[kind][name] = round(value / weight) if weight else None
    for name in COUNTS:
        total[name] = sum(part[name] for part in parts)
    total["cache"] = {tier: sum(part["cache"][tier] for part in parts) for tier in TIERS}
    return total


def analytics(query: Json, now: float) -> Json:
    """GET /analytics."""
    window, step = query.get("window", "1h"), query.get("step")
    width = seconds(step or "1m")
    moments = range(int(now - seconds(window)) // width * width, int(now), width)
    lines = {
        provider: series(moments, 60 * share, latency, index)
        for index, (provider, (_, share, latency)) in enumerate(PROVIDERS.items())
    }
    columns = list(zip(*lines.values(), strict=True))
    whole = [{"at": parts[0]["at"], **summed(parts)} for parts in columns]
    groups = _groups(query.get("group_by", ""), lines)
    answer: Json = {"window": window, "from": whole[0]["at"], "to": stamp(now)}
    answer |= {"step": seconds(step) if step else None, "resolution": 60, "groups": groups}
    answer["total"] = summed(whole) | ({"series": whole} if step else {})
    if not step:
        for group in groups:
            group.pop("series", None)
    return answer


def overview(query: Json, now: float, *, sees_all: bool = True) -> Json:
    """GET /analytics/overview."""
    steps = {"m": "1m", "h": "1m", "d": "2h"}
    step = steps[query.get("window", "1h")[-1]]
    told = analytics({**query, "step": step, "group_by": "provider"}, now)
    total = told["total"]
    body = {name: told[name] for name in ("window", "step", "from", "to")}
    body |= {"series": total.pop("series"), "total": total, "byProvider": told["groups"]}
    for part, group_by in (("byModel", "provider,model"), ("byUser", "user")):
        body[part] = analytics({**query, "group_by": group_by}, now)["groups"]
    body["byStatus"] = analytics({**query, "group_by": "status"}, now)["groups"]
    pools = {provider: limits(provider) for provider in PROVIDERS}
    return body | {"providers": health(now), "limits": pools if sees_all else None, "unread": {}}


def _groups(group_by: str, lines: dict[str, list[Json]]) -> list[Json]:
    every = sum(point["requests"] for line in lines.values() for point in line)
    if group_by == "status":
        shares = {200: 0.965, 429: 0.015, 502: 0.012, 400: 0.005, 504: 0.003}
        return [
            {"key": {"status": status}, **figures(round(every * part), 600)}
            for status, part in shares.items()
        ]
    if group_by == "user":
        counts = [round(every * 0.5**rank * 0.52) for rank in range(1, len(USERS) + 1)]
        return [
            {"key": {"user": user}, **figures(count, 600, Random(count))}
            for user, count in zip(USERS, counts, strict=True)
        ]
    groups = []
    for provider, line in lines.items():
        model = PROVIDERS[provider][0]
        key = {"provider": provider} | ({"model": model} if "model" in group_by else {})
        groups.append({"key": key, **summed(line), "series": line})
    return sorted(groups, key=lambda group: -group["requests"])


def insights(query: Json) -> Json:
    """GET /analytics/insights."""
    found = [
        ("cache.longer_ttl", "cache", "notice", 3.18, "USD",
         "A TTL of 6 h instead of 1 h would have answered 11% more from the cache"),
        ("provider.slower", "provider", "info", 420.0, "ms",
         "groq answers the fast tier 420 ms sooner than openai at the median"),
        ("user.changed", "user", "warning", 3_400.0, "requests",
         "nightly-eval sent 9 times as many requests as on the days before"),
        ("cost.cheaper_model", "cost", "info", 12.4, "USD",
         "gemini-2.5-flash would have answered the same traffic for 38% less than gpt-5-mini"),
    ]  # fmt: skip
    return {
        "window": query.get("window", "7d"),
        "sample": {"requests": 41_200, "logged": 10_000},
        "insights": [
            {"id": name, "kind": kind, "severity": severity, "title": title}
            | {"action": "Raise CACHE_TTL, or send `cache.ttl`.", "period": "in the last 7 days"}
            | {"amount": {"value": value, "unit": unit}, "confidence": 0.93}
            | {"evidence": {"requests": 8_120, "hitRateNow": 0.41, "hitRateThen": 0.52}}
            for name, kind, severity, value, unit, title in found
        ],
    }


def health(now: float) -> Json:
    """GET /health/providers: one breaker open, one probing, two providers without their key."""
    rows = []
    for index, name in enumerate(PROVIDERS):
        closed: Json = {"phase": "closed", "reason": None, "calls": 240, "failures": 3, "slow": 0}
        breaker = closed | {"openUntil": None, "opened": 0}
        check: Json = {"provider": name, "healthy": True, "checkedAt": round(now * 1_000) - 141_000}
        check |= {"latencyMs": 20 + 31 * index, "status": 200, "reason": None}
        if name == "deepseek":
            breaker |= {"phase": "open", "reason": "failed", "calls": 14, "failures": 11}
            breaker |= {"openUntil": round(now * 1_000) + 21_000, "opened": 2}
            check |= {"healthy": False, "status": 503, "reason": "Service Unavailable"}
        slow: Json = {"phase": "half_open", "reason": "slow", "calls": 6, "slow": 4, "failures": 0}
        if name == "workers-ai":
            breaker |= slow
        models = {"openai/gpt-oss-20b": breaker | slow} if name == "groq" else {}
        rows.append(
            {"name": name, "configured": True, "reason": None, "lastCheck": check}
            | {"breaker": breaker, "models": models, "keys": [], "endings": [], "priceChanges": []}
        )
    awake: Json = {"number": 1, "state": "usable", "until": None, "models": {}}
    rows[0]["keys"] = [awake, awake | {"number": 2, "state": "refused"}]
    change = {"before": {"input": 2, "output": 10}, "after": {"input": 4, "output": 20}}
    rows[0]["endings"] = [
        {"model": "old-1", "shutdown": "2026-12-11", "replacedBy": "acme/new-1"},
        {"model": "old-2", "shutdown": "2026-12-12", "replacedBy": None},
    ]
    rows[0]["priceChanges"] = [{"model": "new-1", "from": "2026-12-01"} | change]
    for name in ("huggingface", "openrouter"):
        reason = f"{name.upper()}_API_KEY is not set"
        rows.append(
            {"name": name, "configured": False, "reason": reason}
            | {"lastCheck": None, "breaker": None, "models": {}}
        )
    return {"providers": rows}


def limits(provider: str) -> Json:
    """GET /admin/limits?provider=…"""
    if provider == "deepseek":
        squeezed = {"burst": 10, "per_hour": 240}
        users = [
            {"user": "nightly-eval", "demand": 3_412, "rate": squeezed},
            {"user": "ann", "demand": 61, "rate": None},
        ]
        pro = {"scope": "deepseek-v4-pro", "capacity": 120, "closed_until": 0, "users": users}
        return {"capacity": 620, "closed_until": 0, "users": users, "scopes": [pro]}
    demand = {"gemini": 812, "groq": 402}.get(provider)
    users = [{"user": "billing-service", "demand": demand, "rate": None}] if demand else []
    return {"capacity": None, "closed_until": 0, "users": users, "scopes": []}


def me(role: str, via: str) -> Json:
    """GET /me."""
    user = {"user": "ann", "admin": None, "viewer": None}[role]
    key = {"id": "key_1f2e3d4c", "name": "laptop", "team": "search"} if role == "user" else None
    return {"user": user, "role": role, "via": via, "key": key} | VERSION


def models() -> Json:
    """GET /v1/models."""
    names = ["auto", "fast", "smart", "vision", "reasoning"]
    names += [f"{provider}/{model}" for provider, (model, _, _) in PROVIDERS.items()]
    return {
        "object": "list",
        "data": [
            {"id": name, "object": "model", "created": 0, "owned_by": "proxy"} for name in names
        ],
    }
