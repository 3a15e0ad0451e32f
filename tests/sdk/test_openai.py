"""The official OpenAI SDK."""

import io

import openai
import pytest
from openai import OpenAI

MODEL = "gpt-4o-mini"
ASK = [{"role": "user", "content": "hi"}]


def bases(target):
    """Base URLs as people write them: with and without the version, and the entrance at the root."""
    if target.direct:
        return [f"{target.url}/v1"]
    return [f"{target.url}/proxy/openai/v1", f"{target.url}/proxy/openai", f"{target.url}/v1"]


@pytest.fixture(params=range(3), ids=["group-v1", "group", "root"])
def client(request, target):
    urls = bases(target)
    if request.param >= len(urls):
        pytest.skip("the double has one entrance")
    return OpenAI(base_url=urls[request.param], api_key=target.proxy_key, max_retries=0)


@pytest.fixture
def group_client(target):
    return OpenAI(base_url=bases(target)[0], api_key=target.proxy_key, max_retries=0)


def test_chat(client, text):
    answer = client.chat.completions.create(model=MODEL, messages=ASK)
    assert answer.choices[0].message.content == text
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.model, answer.usage.total_tokens) == (MODEL, 21)


def test_chat_stream(client, text):
    stream = client.chat.completions.create(
        model=MODEL, messages=ASK, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    words = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(words) == text
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage.completion_tokens == 9


def test_chat_stream_without_usage(client):
    chunks = list(client.chat.completions.create(model=MODEL, messages=ASK, stream=True))
    assert all(chunk.usage is None for chunk in chunks)


def test_chat_stream_helper(group_client, text):
    with group_client.chat.completions.stream(model=MODEL, messages=ASK) as stream:
        for _ in stream:
            pass
        assert stream.get_final_completion().choices[0].message.content == text


def test_embeddings(client):
    answer = client.embeddings.create(model="text-embedding-3-small", input=["a", "b"])
    assert [item.index for item in answer.data] == [0, 1]
    assert answer.data[0].embedding == [0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0]


def test_embeddings_as_numbers(group_client):
    answer = group_client.embeddings.create(model="text-embedding-3-small", input="a", encoding_format="float")
    assert answer.data[0].embedding[0] == 0.125


def test_models(client):
    assert MODEL in [model.id for model in client.models.list()]
    assert client.models.retrieve(MODEL).id == MODEL


def test_files(group_client):
    content = b'{"grue\xc3\x9fe": "\xf0\x9f\x91\x8b"}\r\n--not-a-boundary\r\n' * 1000
    made = group_client.files.create(file=("batch.jsonl", io.BytesIO(content)), purpose="batch")
    assert (made.filename, made.bytes, made.purpose) == ("batch.jsonl", len(content), "batch")
    assert made.id in [file.id for file in group_client.files.list()]
    assert group_client.files.retrieve(made.id).bytes == len(content)
    assert group_client.files.content(made.id).read() == content
    assert group_client.files.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError):
        group_client.files.retrieve(made.id)


def test_wrong_key(target):
    client = OpenAI(base_url=bases(target)[0], api_key=target.wrong_key, max_retries=0)
    with pytest.raises((openai.AuthenticationError, openai.PermissionDeniedError)):
        client.chat.completions.create(model=MODEL, messages=ASK)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("status=400", openai.BadRequestError),
        ("status=404", openai.NotFoundError),
        ("status=422", openai.UnprocessableEntityError),
        ("status=429;retry-after=0", openai.RateLimitError),
        ("status=500", openai.InternalServerError),
    ],
)
def test_typed_errors(group_client, fault, error):
    with pytest.raises(error) as raised:
        group_client.chat.completions.create(model=f"double;{fault}", messages=ASK)
    assert raised.value.body["message"]


def test_bad_request_of_the_provider(group_client):
    with pytest.raises(openai.BadRequestError) as raised:
        group_client.post("/chat/completions", cast_to=object, body={"model": MODEL})
    assert "messages" in raised.value.message


def test_unknown_model(group_client):
    with pytest.raises(openai.NotFoundError) as raised:
        group_client.chat.completions.create(model="no-such-model", messages=ASK)
    assert raised.value.code == "model_not_found"


def test_error_inside_a_stream(group_client):
    stream = group_client.chat.completions.create(model="double;error-event=2", messages=ASK, stream=True)
    with pytest.raises(openai.APIError):
        list(stream)
