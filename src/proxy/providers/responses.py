"""OpenAI's Responses, as OpenAI and those who follow it speak them beside chat completions."""

from proxy.core.chat import ChatRequest
from proxy.core.ports import Outgoing
from proxy.providers.native_fault import read_fault as read_fault
from proxy.providers.openai import build_embedding_request as build_embedding_request
from proxy.providers.openai import build_probe as build_probe
from proxy.providers.openai import read_embeddings as read_embeddings
from proxy.providers.responses_answer import read_answer as read_answer
from proxy.providers.responses_request import build_body
from proxy.providers.responses_stream import ResponsesReader
from proxy.providers.target import Target

make_decoder = ResponsesReader.make_decoder


def build_request(target: Target, chat: ChatRequest) -> Outgoing:
    """The call for an answer."""
    body, dropped = build_body(target, chat)
    url = target.base_url.rstrip("/") + "/responses"
    return target.build_post(url, body, dropped, streamed=chat.stream)
