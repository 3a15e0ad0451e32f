"""The official Anthropic SDK."""

import anthropic
import pytest
from anthropic import Anthropic

MODEL = "claude-sonnet-5"
ASK = {"model": MODEL, "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}


def connect(target, **given):
    given = {"api_key": target.proxy_key, "max_retries": 0} | given
    return Anthropic(base_url=target.group("anthropic"), **given)


@pytest.fixture
def client(target):
    return connect(target)


def test_message(client, text):
    answer = client.messages.create(**ASK)
    assert (answer.content[0].text, answer.stop_reason, answer.usage.output_tokens) == (text, "end_turn", 9)


def test_message_with_a_bearer_token(target, text):
    answer = connect(target, api_key=None, auth_token=target.proxy_key).messages.create(**ASK)
    assert answer.content[0].text == text


def test_events(client):
    kinds = [event.type for event in client.messages.create(**ASK, stream=True)]
    assert kinds[0] == "message_start"
    assert kinds.count("content_block_delta") == 9
    assert kinds[-2:] == ["message_delta", "message_stop"]


def test_stream_helper(client, text):
    with client.messages.stream(**ASK) as stream:
        assert "".join(stream.text_stream) == text
        assert stream.get_final_message().usage.output_tokens == 9


def test_count_tokens(client):
    assert client.messages.count_tokens(model=MODEL, messages=ASK["messages"]).input_tokens == 12


def test_models(client):
    assert MODEL in [model.id for model in client.models.list()]
    assert client.models.retrieve(MODEL).id == MODEL


def test_wrong_key(target):
    with pytest.raises((anthropic.AuthenticationError, anthropic.PermissionDeniedError)) as raised:
        connect(target, api_key=target.wrong_key).messages.create(**ASK)
    assert raised.value.body["type"] == "error"


@pytest.mark.parametrize(
    ("fault", "error", "kind"),
    [
        ("status=400", anthropic.BadRequestError, "invalid_request_error"),
        ("status=404", anthropic.NotFoundError, "not_found_error"),
        ("status=429", anthropic.RateLimitError, "rate_limit_error"),
        ("status=529", anthropic.InternalServerError, "overloaded_error"),
    ],
)
def test_typed_errors(client, fault, error, kind):
    with pytest.raises(error) as raised:
        client.messages.create(**ASK | {"model": f"double;{fault}"})
    assert raised.value.body["error"]["type"] == kind


def test_error_inside_a_stream(client):
    with pytest.raises(anthropic.APIStatusError):
        list(client.messages.create(**ASK | {"model": "double;error-event=3;status=529"}, stream=True))
