"""Canned answers of the operators' paths."""

import time
from collections.abc import Mapping
from typing import Any

from tests.browser.canned import PROVIDERS, limits, stamp

Json = dict[str, Any]

DAY = 86_400


def key(number: int, **fields: Any) -> Json:
    """A key as GET /admin/keys shows it."""
    nothing = dict.fromkeys(("name", "note", "team", "cacheScope", "expiresAt", "revokedAt"))
    limited = dict.fromkeys(("perHour", "burst", "requestsPerMinute", "tokensPerMinute"))
    empty: Json = {"providers": [], "models": [], "tags": [], "budget": {}, "role": "user"}
    used = {"day": 0.0, "month": 0.0}
    told: Json = {"id": f"key_{number:012x}", "user": "ann", "limits": limited, "used": used}
    told |= {"passthrough": True, "createdAt": stamp(time.time() - 40 * DAY)}
    return nothing | empty | told | fields


def keys() -> list[Json]:
    """Keys of every sort: with a budget nearly used up, used up, and none; ended ones too."""
    now = time.time()
    return [
        key(1, user="billing-service", name="production", team="payments", tags=["eu", "prod"])
        | {"models": ["openai/gpt-5-mini", "support", "groq/*"], "providers": ["openai", "groq"]}
        | {"limits": {"perHour": 500, "burst": None, "requestsPerMinute": 60}
           | {"tokensPerMinute": 50_000}}
        | {"budget": {"day": 2.5, "month": 40.0}, "used": {"day": 2.21, "month": 18.4}},
        key(2, name="laptop", note="For Claude Code", expiresAt=stamp(now + 33 * DAY)),
        key(3, user="nightly-eval", name="batch", team="research", tags=["eval"])
        | {"budget": {"month": 120.0}, "used": {"day": 4.0, "month": 120.4}},
        key(4, user="grafana", name="figures", role="viewer"),
        key(5, user="support-bot", team="support") | {"used": {"day": 0.2, "month": 3.18}},
        key(6, user="carol", name="old laptop", revokedAt=stamp(now - 3 * DAY)),
        key(7, user="ben", name="trial", expiresAt=stamp(now - 5 * DAY)),
    ]  # fmt: skip


def budgets() -> Json:
    """GET /admin/budgets."""
    return {
        "budgets": [
            {"name": "team:payments", "day": 10.0, "month": 200.0}
            | {"used": {"day": 2.21, "month": 96.0}},
            {"name": "team:research", "month": 150.0} | {"used": {"day": 4.0, "month": 131.2}},
            {"name": "tag:eval", "day": 5.0} | {"used": {"day": 5.02, "month": 88.0}},
        ],
        "next": None,
    }


def aliases() -> Json:
    """GET /admin/aliases?usage=true."""
    changed = {"updatedAt": stamp(time.time() - 7_300), "etag": '"abc"'}
    pro: Json = {"model": "anthropic/claude-haiku-4-5", "id": "anthropic/claude-haiku-4-5"}
    pro |= {"when": {"metadata": {"plan": ["pro", "team"]}}, "budget": {"day": 5.0}}
    other: Json = {"model": "openai/gpt-5.4-mini", "id": "openai/gpt-5.4-mini"}
    other |= {"limit": {"perHour": 1_000}}
    unlimited = {"day": None, "month": None, "requests": None}
    used: Json = {pro["id"]: unlimited | {"day": 4.2, "month": 31.5}}
    used |= {other["id"]: unlimited | {"requests": 1_000}}
    burst = {"limit": {"perHour": 500, "burst": 20}, "budget": {"month": 40.0}}
    shares = [("openai/gpt-5.4-mini", 90), ("groq/smart", 10)]
    return {
        "aliases": [
            {"name": "support", "strategy": "priority", "targets": [pro, other]}
            | {"description": "What the help desk asks", "system": "You help Acme's customers."}
            | {"defaults": {"temperature": 0.2, "maxTokens": 500, "stop": ["END"]}}
            | {"used": used}
            | changed,
            {"name": "canary", "strategy": "weighted"}
            | {"targets": [{"model": m, "id": m, "weight": w} | burst for m, w in shares]}
            | {"used": {m: {"day": 1.0, "month": 12.0, "requests": 3} for m, _ in shares[:1]}}
            | {"fixed": {"temperature": 0}, "cache": {"ttl": 600, "mode": "default"}}
            | changed,
        ],
        "next": None,
    }


def breakers() -> Json:
    """GET /admin/breakers: one open, one half-open, a key that is refused, closed ones."""
    now = round(time.time() * 1_000)
    closed: Json = {"phase": "closed", "reason": None, "calls": 240, "failures": 3, "slow": 0}
    closed |= {"openUntil": None, "opened": 0}
    failed = {"phase": "open", "reason": "failed", "calls": 14, "failures": 11, "opened": 2}
    trying = {"phase": "half_open", "reason": "slow", "calls": 6, "failures": 0, "slow": 4}
    refused = {"phase": "open", "reason": "misconfigured", "calls": 1, "failures": 1}
    return {
        "breakers": {
            "openai": closed,
            "openai/gpt-5-mini": closed,
            "openai#2": closed | refused | {"openUntil": now + 240_000},
            "groq": closed | {"calls": 61, "failures": 0},
            "groq/openai/gpt-oss-20b": closed | trying,
            "deepseek": closed | failed | {"openUntil": now + 21_000},
        }
    }


def all_limits() -> Json:
    """GET /admin/limits."""
    rate = {"burst": 50, "per_hour": 1_000}
    told: Json = {name: {"rate": rate, "pool": limits(name)} for name in PROVIDERS}
    told["openai"] = {"rate": rate, "pool": None}
    told["groq"]["pool"]["users"] = [
        {"user": name, "demand": 400 - 50 * place, "rate": None}
        for place, name in enumerate(("ann\nkey_000000000002", *(f"user-{n}" for n in range(7))))
    ]
    return {"providers": told}


def bucket() -> Json:
    """GET /admin/limits?provider=…&user=…"""
    rate = {"burst": 50, "per_hour": 1_000}
    told = {"rate": rate, "squeezed": {"burst": 10, "per_hour": 240}, "closed_until": 0}
    return told | {"level": 12, "held": 16, "leases": 1, "isolates": 2, "reset": 137_000}


def cache() -> Json:
    """GET /admin/cache."""
    now = time.time()
    purges = [
        {"scope": "all", "value": "", "at": stamp(now - 600)},
        {"scope": "model", "value": "openai/gpt-5-mini", "at": stamp(now - 9_000)},
        {"scope": "user", "value": "ann", "at": stamp(now - 3 * DAY)},
    ]
    kept = {"entries": 412, "bytes": 2_310_000, "mostEntries": 1_000, "mostBytes": 4_194_304}
    told = {"tiers": ["memory", "kv", "r2"], "ttl": 3_600, "grace": 86_400, "scope": "tenant"}
    return kept | told | {"coalesce": False, "purges": purges}


def setting(name: str, section: str, default: str = "", **fields: Any) -> Json:
    """A setting as GET /admin/settings shows it."""
    told = {"name": name, "section": section, "provider": None, "value": default, "secret": False}
    told |= {"set": False, "source": "default", "default": default, "values": ""}
    return told | {"help": "What it does. With `code` in it."} | fields


def settings() -> Json:
    """GET /admin/settings: of every source, set and not."""
    given: Json = {"set": True, "source": "deployment"}
    secret: Json = {"secret": True, "value": None}
    return {
        "settings": [
            setting("ENVIRONMENT", "access", "production", value="staging", **given),
            setting("ADMIN_TOKEN", "access", **secret | given),
            setting("METRICS_TOKEN", "access", **secret),
            setting("CACHE_TTL", "cache", "3600", value="60", **given),
            setting("CACHE_SCOPE", "cache", "tenant"),
            setting("FALLBACK_CHAIN", "routing", "gemini,deepseek,groq,openai"),
            *(
                each
                for provider in ("openai", "groq")
                for each in (
                    setting(f"{provider.upper()}_API_KEY", "providers", provider=provider)
                    | secret
                    | ({"set": True, "source": "secrets_store"} if provider == "openai" else {}),
                    setting(f"{provider.upper()}_BASE_URL", "providers", provider=provider),
                )
            ),
        ],
        "problems": [
            {"setting": "GROQ_APIKEY", "message": "The proxy has no setting of that name."}
        ],
    }


def answers() -> dict[str, Any]:
    """All of them by their paths."""

    def page(query: Mapping[str, str]) -> Json:
        return {"keys": keys(), "next": None}

    return {
        "/admin/keys": page,
        "/admin/budgets": lambda _: budgets(),
        "/admin/aliases": lambda _: aliases(),
        "/admin/breakers": lambda _: breakers(),
        "/admin/limits": lambda query: bucket() if query.get("provider") else all_limits(),
        "/admin/cache": lambda _: cache(),
        "/admin/settings": lambda _: settings(),
    }


def empty() -> dict[str, Any]:
    """The same where there is nothing yet."""
    nobody: Json = {"capacity": None, "closed_until": 0, "users": [], "scopes": []}
    rate = {"burst": 50, "per_hour": 1_000}
    kept = cache() | {"entries": 0, "bytes": 0, "tiers": ["memory"], "purges": []}
    return {
        "/admin/keys": {"keys": [], "next": None},
        "/admin/budgets": {"budgets": [], "next": None},
        "/admin/aliases": {"aliases": [], "next": None},
        "/admin/breakers": {"breakers": {}},
        "/admin/limits": {"providers": {"groq": {"rate": rate, "pool": nobody}}},
        "/admin/cache": kept,
        "/admin/settings": settings() | {"problems": []},
    }
