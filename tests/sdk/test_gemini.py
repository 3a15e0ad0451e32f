"""The official Google SDK, and the OpenAI SDK on Gemini's compatible path."""

import io

import pytest
from google import genai
from google.genai import errors, types
from openai import OpenAI

MODEL = "gemini-2.5-flash"


def connect(target, key):
    options = types.HttpOptions(base_url=target.group("gemini"))
    return genai.Client(api_key=key, http_options=options)


@pytest.fixture
def client(target):
    return connect(target, target.proxy_key)


def test_generate(client, text):
    answer = client.models.generate_content(model=MODEL, contents="hi")
    assert answer.text == text
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    assert answer.usage_metadata.candidates_token_count == 9


def test_generate_stream(client, text):
    chunks = list(client.models.generate_content_stream(model=MODEL, contents="hi"))
    assert "".join(chunk.text for chunk in chunks) == text
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP


def test_embed(client):
    answer = client.models.embed_content(model="gemini-embedding-001", contents="a")
    assert answer.embeddings[0].values[0] == 0.125


def test_count_tokens(client):
    assert client.models.count_tokens(model=MODEL, contents="hi").total_tokens == 12


def test_models(client):
    assert f"models/{MODEL}" in [model.name for model in client.models.list()]
    assert client.models.get(model=MODEL).name == f"models/{MODEL}"


def test_files(target, client):
    if not target.direct:
        pytest.skip("the provider names the address of the second step, which is its own")
    made = client.files.upload(file=io.BytesIO(b"abc"), config={"mime_type": "text/plain", "display_name": "a"})
    assert (made.display_name, made.size_bytes, made.state) == ("a", 3, types.FileState.ACTIVE)
    assert client.files.get(name=made.name).name == made.name
    client.files.delete(name=made.name)
    with pytest.raises(errors.ClientError):
        client.files.get(name=made.name)


def test_wrong_key(target):
    client = connect(target, target.wrong_key)
    with pytest.raises(errors.ClientError) as raised:
        client.models.generate_content(model=MODEL, contents="hi")
    # Google calls an invalid key a bad request.
    assert raised.value.code in (400, 401, 403)


@pytest.mark.parametrize(
    ("fault", "error", "code", "status"),
    [
        ("status=400", errors.ClientError, 400, "INVALID_ARGUMENT"),
        ("status=404", errors.ClientError, 404, "NOT_FOUND"),
        ("status=429", errors.ClientError, 429, "RESOURCE_EXHAUSTED"),
        ("status=503", errors.ServerError, 503, "UNAVAILABLE"),
    ],
)
def test_typed_errors(client, fault, error, code, status):
    with pytest.raises(error) as raised:
        client.models.generate_content(model=f"double;{fault}", contents="hi")
    assert (raised.value.code, raised.value.status) == (code, status)


def test_openai_compatible(target, text):
    client = OpenAI(base_url=target.group("gemini") + "/v1beta/openai", api_key=target.proxy_key, max_retries=0)
    ask = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
    assert client.chat.completions.create(**ask).choices[0].message.content == text
    chunks = client.chat.completions.create(**ask, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == text
