"""The official OpenAI SDK on the Responses API."""

import openai
import pytest
from openai import OpenAI

MODEL = "gpt-4.1"


@pytest.fixture(params=["/v1", ""], ids=["v1", "no-version"])
def client(request, target):
    if target.direct and not request.param:
        pytest.skip("the double has one entrance")
    url = target.group("openai-response") + request.param
    return OpenAI(base_url=url, api_key=target.proxy_key, max_retries=0)


def test_response(client, text):
    answer = client.responses.create(model=MODEL, input="hi")
    assert (answer.output_text, answer.status, answer.usage.total_tokens) == (text, "completed", 21)


def test_response_stream(client, text):
    events = list(client.responses.create(model=MODEL, input="hi", stream=True))
    assert events[0].type == "response.created"
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == text
    assert events[-1].type == "response.completed"
    assert events[-1].response.usage.output_tokens == 9


def test_response_stream_helper(client, text):
    with client.responses.stream(model=MODEL, input="hi") as stream:
        for _ in stream:
            pass
        assert stream.get_final_response().output_text == text


@pytest.mark.parametrize(
    ("fault", "error"), [("status=400", openai.BadRequestError), ("status=429", openai.RateLimitError)]
)
def test_typed_errors(client, fault, error):
    with pytest.raises(error):
        client.responses.create(model=f"double;{fault}", input="hi")
