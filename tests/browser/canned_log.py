"""What a busy proxy's request log would answer, and what is drawn from it."""

from random import Random
from typing import Any

from tests.browser.canned import PROVIDERS, USERS, stamp

Json = dict[str, Any]

ENDPOINTS = (
    ("/v1/generate", "native"),
    ("/v1/chat/completions", "openai"),
    ("/v1/messages", "messages"),
    ("/v1/responses", "responses"),
)
"""With the dialect that is spoken there."""


def requests(query: Json, now: float) -> Json:
    """GET /analytics/requests: one every 3.7 s, each the same whenever it is asked for."""
    limit, newest = int(query.get("limit", 50)), int(now / 3.7)
    numbers = range(int(query.get("cursor") or newest), newest - 400, -1)
    wanted = [n for n in numbers if _is_wanted(_request(n), query)]
    after = wanted[limit] if len(wanted) > limit else None
    return {
        "requests": [_request(number) for number in wanted[:limit]],
        "next": str(after) if after else None,
    }


def _is_wanted(row: Json, query: Json) -> bool:
    labels = {name[6:]: value for name, value in query.items() if name.startswith("label.")}
    wanted = ("provider", "model", "user", "cache", "error", "session")
    return (
        all(row[name] == query[name] for name in wanted if query.get(name))
        and str(row["status"]).startswith(query.get("status", "").rstrip("x"))
        and query.get("id") in (None, row["requestId"])
        and query.get("key") in (None, row["keyId"])
        and labels.items() <= row["metadata"].items()
        and query.get("from", "") <= row["at"] < query.get("to", "9")
    )


def _request(number: int) -> Json:
    dice = Random(number)
    provider = dice.choices(list(PROVIDERS), [share for _, share, _ in PROVIDERS.values()])[0]
    kind = dice.choices(("ok", "hit", "limited", "failed", "fallback"), (52, 34, 3, 3, 8))[0]
    spread = 0.6 + dice.random() * 2
    ms = 4 if kind in ("hit", "limited") else round(PROVIDERS[provider][2] * spread)
    endpoint, dialect = dice.choice(ENDPOINTS)
    row: Json = {
        "at": stamp(number * 3.7),
        "requestId": f"req_{number:024x}",
        "endpoint": endpoint,
        "method": "POST",
        "dialect": dialect,
        "user": dice.choice(USERS),
        "keyId": f"key_{dice.randrange(16**8):08x}",
        "asked": dice.choice(("auto", "fast", f"{provider}/{PROVIDERS[provider][0]}")),
        "strategy": "priority",
        "stream": dice.random() < 0.5,
        "ms": ms,
        "bytesIn": 1_204,
        "bytesOut": 2_881,
        "country": "DE",
        "colo": "FRA",
        "traceId": f"{number:032x}",
        "team": "search",
        "tags": ["search", "batch"],
        "session": dice.choice(("review-4412", "support-8817", None)),
        "metadata": {"feature": dice.choice(("summary", "chat"))},
        **_outcome(kind, provider, ms),
    }
    if row["status"] == 200:
        used = (0, 0) if kind == "hit" else (120 + dice.randrange(900), 20 + dice.randrange(400))
        row["usage"] = {"inputTokens": used[0], "outputTokens": used[1], "totalTokens": sum(used)}
        row |= {"cost": sum(used) * 6e-7, "costOrigin": "computed"}
        if row["stream"]:
            row |= {"ended": "ok", "firstMs": round(ms * 0.4)}
    return row


def _outcome(kind: str, provider: str, ms: int) -> Json:
    """What became of a request: the fields that hang on it."""
    model = PROVIDERS[provider][0]
    start = 98 if kind == "fallback" else 4
    ok = {"provider": provider, "model": model, "outcome": "ok", "ms": ms, "start": start}
    lost = {"provider": "openai", "model": "gpt-5-mini", "outcome": "unavailable", "ms": 85}
    lost |= {"start": 4, "status": 503, "message": "The server is overloaded or not ready yet."}
    is_answered = kind not in ("limited", "failed")
    return {
        "status": {"limited": 429, "failed": 502}.get(kind, 200),
        "provider": provider if is_answered else None,
        "model": model if is_answered else None,
        "attempts": {"ok": [ok], "fallback": [lost, ok], "failed": [lost]}.get(kind, []),
        "error": {"limited": "rate_limit_exceeded", "failed": "provider_error"}.get(kind),
        "source": {"limited": "proxy", "failed": "provider"}.get(kind),
        "cache": {"hit": "hit", "limited": None}.get(kind, "miss"),
        "tier": "memory" if kind == "hit" else None,
        "ended": None,
        "firstMs": None,
        "usage": None,
        "cost": None,
        "costOrigin": None,
        "costSaved": 0.00041 if kind == "hit" else 0,
    }


def detail(number: int) -> Json:
    """GET /analytics/requests/ID."""
    row = _request(number)
    won = f"{row['provider']}/{row['model']}"
    words = [f"{won} is the first of the chain that may be asked, for the tier fast."]
    if len(row["attempts"]) > 1:
        words.append("openai/gpt-5-mini failed (status 503) after 85 ms.")
    weighed = [
        {"provider": "groq", "model": "openai/gpt-oss-20b", "score": 0.82, "note": "measured"},
        {"provider": "openai", "model": "gpt-5-mini", "score": 0.61},
    ]
    reason = {"words": words, "strategy": "balanced", "target": None, "candidates": weighed}
    return row | {"reason": reason, "bodyKept": row["status"] == 200}


def kept_body() -> Json:
    """GET /analytics/requests/ID/body."""
    asked = '{"prompt": "Write to <<EMAIL_1>>: what is the capital of France?"}'
    told = '{"data": "Paris."}'
    return {
        "request": {"contentType": "application/json", "text": asked, "truncated": False},
        "answer": {"contentType": "application/json", "text": told, "truncated": True},
        "redacted": {"email": 2, "iban": 1},
        "expiresAt": "2026-12-24T10:00:00Z",
    }


def spent(kind: str, now: float) -> Json:
    """GET /analytics/sessions and /analytics/tags; kind: session or tag."""
    names = {
        "session": ("019aa3f2-7c1b-7d52", "review-4412", "nightly-eval", "support-8817"),
        "tag": ("search", "batch"),
    }[kind]
    rows = [
        {kind: name, "requests": 400 // (rank + 1), "errors": rank, "cost": 1.7 / (rank + 1)}
        | {"inputTokens": 90_400 // (rank + 1), "outputTokens": 31_000 // (rank + 1)}
        | {"first": stamp(now - 3_000 - 60 * rank), "last": stamp(now - 40 * rank)}
        for rank, name in enumerate(names)
    ]
    if kind == "session":
        rows = [{**row, "user": user} for row, user in zip(rows, USERS, strict=False)]
    return {f"{kind}s": rows, "hasMore": False}
