"""Who has signed in by Cloudflare Access, in the platform's word and by its signature."""

from typing import Any

import js
from pyodide.ffi import JsException, jsnull, to_js

from proxy.core.ports import RSAKey, SignedIn
from proxy.platform.convert import find_function, to_js_object

_ALGORITHM = {"name": "RSASSA-PKCS1-v1_5", "hash": "SHA-256"}


async def read_identity(ctx: Any) -> SignedIn | None:
    """core.web.ReadIdentity: `ctx.access`, which the platform sets where Access stands before the
    Worker; no header reaches it."""
    access = getattr(ctx, "access", None)
    if access is None or access is jsnull:
        return None
    identity = find_function("JSON", "stringify")(await access.getIdentity())
    return SignedIn(access.aud, identity if isinstance(identity, str) else "{}")


async def verify_rs256(key: RSAKey, signed: bytes, signature: bytes) -> bool:
    """core.ports.VerifyRS256, by Web Crypto."""
    subtle = js.crypto.subtle
    jwk = to_js_object({"kty": "RSA", "alg": "RS256", "n": key.n, "e": key.e})
    algorithm = to_js_object(_ALGORITHM)
    try:
        imported = await subtle.importKey("jwk", jwk, algorithm, False, to_js(["verify"]))
        verified = await subtle.verify(algorithm, imported, to_js(signature), to_js(signed))
    except JsException:  # what is no key
        return False
    return verified is True
