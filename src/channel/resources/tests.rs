use gpt_load_schema::channel::Channel::{self, Anthropic, Gemini, OpenAi, OpenAiResponse};
use proptest::prelude::*;

use super::*;

fn named_of(channel: Channel, path: &str, body: &str) -> Vec<String> {
    named(channel, path, Some(body.as_bytes())).into_iter().map(String::from).collect()
}

#[test]
fn ids_in_paths() {
    for (channel, path, expected) in [
        (OpenAi, "/v1/files/file-abc", &["file-abc"][..]),
        (OpenAi, "/files/file-abc/content", &["file-abc"]),
        (OpenAi, "/openai/v1/batches/batch_1/cancel", &["batch_1"]),
        (OpenAi, "/v1/files", &[]),
        (OpenAi, "/v1/files/", &[]),
        (OpenAi, "/v1/files/file%2Dabc", &["file-abc"]),
        (OpenAi, "/v1/threads/runs", &[]),
        (OpenAi, "/v1/threads/thread_1/runs/run_1", &["thread_1"]),
        (OpenAi, "/v1/vector_stores/vs_1/files/file-1", &["vs_1", "file-1"]),
        (OpenAi, "/v1/fine_tuning/jobs/ftjob-1/events", &["ftjob-1"]),
        (OpenAi, "/v1/chat/completions", &[]),
        (OpenAi, "/v1/models/files", &[]),
        (OpenAiResponse, "/v1/responses/resp_1/input_items", &["resp_1"]),
        (OpenAiResponse, "/v1/responses/input_tokens", &[]),
        (OpenAiResponse, "/responses/resp_1", &["resp_1"]),
        (Anthropic, "/v1/messages/batches/msgbatch_1/results", &["msgbatch_1"]),
        (Anthropic, "/v1/messages", &[]),
        (Gemini, "/v1beta/files/abc-1", &["files/abc-1"]),
        (Gemini, "/v1beta/files/abc:download", &["files/abc"]),
        (Gemini, "/v1beta/files/abc%3Adownload", &["files/abc"]),
        (Gemini, "/download/v1beta/files/abc:download", &["files/abc"]),
        (Gemini, "/v1beta/cachedContents/c1", &["cachedContents/c1"]),
        (Gemini, "/v1beta/batches/b1:cancel", &["batches/b1"]),
        (Gemini, "/v1beta/models/veo/operations/op1", &["operations/op1"]),
        (Gemini, "/v1beta/models/gemini:generateContent", &[]),
        (Gemini, "/v1beta/openai/files/file-1", &["file-1"]),
    ] {
        assert_eq!(named_of(channel, path, ""), expected, "{channel} {path}");
    }
}

#[test]
fn ids_in_bodies() {
    for (channel, body, expected) in [
        (OpenAi, r#"{"previous_response_id":"resp_1","input":"hi"}"#, &["resp_1"][..]),
        (OpenAi, r#"{"input_file_id":"file-1","endpoint":"/v1/x"}"#, &["file-1"]),
        (
            OpenAi,
            r#"{"input":[{"role":"user","content":[{"type":"input_file","file_id":"file-1"},
                {"type":"input_image","file_id":"file-2"},{"type":"input_text","text":"\"file_id\":\"file-3\""}]}]}"#,
            &["file-1", "file-2"],
        ),
        (OpenAi, r#"{"messages":[{"content":[{"type":"file","file":{"file_id":"file-1"}}]}]}"#, &["file-1"]),
        (
            OpenAi,
            r#"{"tools":[{"type":"file_search","vector_store_ids":["vs_1","vs_2","vs_1"]}],"file_ids":["f"]}"#,
            &["vs_1", "vs_2", "f"],
        ),
        (OpenAi, r#"{"conversation":{"id":"conv_1"},"container":"cntr_1"}"#, &["conv_1", "cntr_1"]),
        (OpenAi, r#"{"container":{"type":"auto","file_ids":["file-1"]}}"#, &["file-1"]),
        (OpenAi, r#"{"training_file":"file-1","validation_file":null}"#, &["file-1"]),
        (OpenAi, r#"{"metadata":{"file_id":"mine"},"tools":[{"parameters":{"file_id":"x"}}]}"#, &[]),
        (OpenAi, r#"{"file_id":7,"previous_response_id":null,"assistant_id":""}"#, &[]),
        (OpenAi, r#"{"file_id":"has space"}"#, &[]),
        (OpenAi, r#"{"file_id":"file-1","#, &["file-1"]),
        (OpenAi, r#"{"file_id":"file-1"#, &[]),
        (OpenAi, r#"["file_id","x"]"#, &[]),
        (
            Anthropic,
            r#"{"messages":[{"content":[{"type":"document","source":{"type":"file","file_id":"file_1"}},
                {"type":"tool_use","input":{"file_id":"not-one"}}]}]}"#,
            &["file_1"],
        ),
        (
            Gemini,
            r#"{"contents":[{"parts":[{"fileData":{"fileUri":"https://g.example/v1beta/files/abc"}},
                {"file_data":{"file_uri":"https://www.youtube.com/watch?v=files"}}]}],"cachedContent":"cachedContents/c"}"#,
            &["files/abc", "cachedContents/c"],
        ),
        (Gemini, r#"{"batch":{"input_config":{"file_name":"files/in"}}}"#, &["files/in"]),
        (Gemini, r#"{"contents":[{"parts":[{"functionCall":{"args":{"fileUri":"files/x"}}}]}]}"#, &[]),
    ] {
        assert_eq!(named_of(channel, "/v1/x", body), expected, "{channel} {body}");
    }
    let many: Vec<String> = (0..100).map(|number| format!("f{number}")).collect();
    let body = serde_json::json!({ "file_ids": many }).to_string();
    assert_eq!(named_of(OpenAi, "/v1/x", &body).len(), MAX_NAMED);
}

#[test]
fn which_answers_are_read() {
    use ResourceKind::{Batch, File, Response, Thread, Upload, VectorStore};
    let object = |kind| Some(Reading::Object(kind));
    for (channel, method, path, expected) in [
        (OpenAi, "POST", "/v1/files", object(File)),
        (OpenAi, "GET", "/v1/files", None),
        (OpenAi, "GET", "/v1/files/file-1", object(File)),
        (OpenAi, "GET", "/v1/files/file-1/content", None),
        (OpenAi, "DELETE", "/v1/files/file-1", None),
        (OpenAi, "POST", "/v1/uploads/upload_1/complete", object(Upload)),
        (OpenAi, "POST", "/v1/uploads/upload_1/parts", None),
        (OpenAi, "POST", "/openai/batches", object(Batch)),
        (OpenAi, "GET", "/v1/batches/batch_1", object(Batch)),
        (OpenAi, "POST", "/v1/batches/batch_1/cancel", object(Batch)),
        (OpenAi, "POST", "/v1/threads", object(Thread)),
        (OpenAi, "POST", "/v1/threads/runs", Some(Reading::Around)),
        (OpenAi, "POST", "/v1/threads/thread_1/runs", None),
        (OpenAi, "POST", "/v1/vector_stores", object(VectorStore)),
        (OpenAi, "POST", "/v1/chat/completions", None),
        (OpenAi, "POST", "/v1/responses/input_tokens", None),
        (OpenAiResponse, "POST", "/responses", object(Response)),
        (Anthropic, "POST", "/v1/messages/batches", object(Batch)),
        (Anthropic, "POST", "/v1/messages", None),
        (Gemini, "POST", "/upload/v1beta/files", Some(Reading::Names)),
        (Gemini, "POST", "/v1beta/cachedContents", Some(Reading::Names)),
        (Gemini, "POST", "/v1beta/models/g:batchGenerateContent", Some(Reading::Names)),
        (Gemini, "POST", "/v1beta/models/g:generateContent", None),
        (Gemini, "GET", "/v1beta/batches/b1", Some(Reading::Names)),
        (Gemini, "POST", "/v1beta/openai/files", object(File)),
    ] {
        assert_eq!(Reading::of(channel, method, path), expected, "{channel} {method} {path}");
    }
}

fn learnt(reading: Reading, answer: &str) -> Vec<(&'static str, String)> {
    let mut learner = Learner::new(reading);
    learner.see_object(answer.as_bytes());
    learner.take().into_iter().map(|named| (named.kind.as_str(), named.id.into())).collect()
}

#[test]
fn what_answers_tell() {
    use ResourceKind::{Batch, File, Response, Upload};
    let pair = |kind: &'static str, id: &str| (kind, id.to_owned());
    for (reading, answer, expected) in [
        (Reading::Object(File), r#"{"id":"file-1","object":"file"}"#, vec![pair("file", "file-1")]),
        (
            Reading::Object(Batch),
            r#"{"id":"batch_1","input_file_id":"file-1","output_file_id":"file-2","error_file_id":null}"#,
            vec![pair("batch", "batch_1"), pair("file", "file-2")],
        ),
        (
            Reading::Object(Upload),
            r#"{"id":"upload_1","file":{"id":"file-3","object":"file"}}"#,
            vec![pair("upload", "upload_1"), pair("file", "file-3")],
        ),
        (Reading::Object(Response), r#"{"id":"resp_1","store":true}"#, vec![pair("response", "resp_1")]),
        (Reading::Object(Response), r#"{"id":"resp_1","store":false}"#, vec![]),
        (Reading::Object(Response), r#"{"id":"resp_1","output":[{"id":"msg_1"},"#, vec![pair("response", "resp_1")]),
        (Reading::Around, r#"{"id":"run_1","thread_id":"thread_1"}"#, vec![pair("thread", "thread_1")]),
        (Reading::Around, r#"{"id":"thread_1","object":"thread"}"#, vec![pair("thread", "thread_1")]),
        (
            Reading::Names,
            r#"{"file":{"name":"files/abc","displayName":"a","uri":"https://g.example/v1beta/files/abc"}}"#,
            vec![pair("file", "files/abc")],
        ),
        (Reading::Names, r#"{"name":"cachedContents/c"}"#, vec![pair("cached_content", "cachedContents/c")]),
        (
            Reading::Names,
            r#"{"name":"batches/b","metadata":{"model":"models/g"},"response":{"responsesFile":"files/out"}}"#,
            vec![pair("batch", "batches/b"), pair("file", "files/out")],
        ),
        (Reading::Names, r#"{"name":"models/veo/operations/op"}"#, vec![pair("operation", "operations/op")]),
        (Reading::Object(File), "[]", vec![]),
        (Reading::Object(File), r#"{"id":7}"#, vec![]),
        (Reading::Names, "", vec![]),
    ] {
        assert_eq!(learnt(reading, answer), expected, "{answer}");
    }
}

#[test]
fn streams_tell_at_their_beginning() {
    let mut learner = Learner::new(Reading::Object(ResourceKind::Response));
    learner.see_event(br#"{"type":"response.created","response":{"id":"resp_1","status":"in_progress"}}"#);
    assert_eq!(learner.take(), [Named { kind: ResourceKind::Response, id: "resp_1".into() }]);
    learner.see_event(br#"{"type":"response.output_item.added","item":{"id":"msg_1"}}"#);
    assert_eq!(learner.take(), []);
    let mut learner = Learner::new(Reading::Around);
    learner.see_event(br#"{"id":"thread_1","object":"thread"}"#);
    assert_eq!(learner.take(), [Named { kind: ResourceKind::Thread, id: "thread_1".into() }]);
}

proptest! {
    #[test]
    fn survives_any_text(text in r#"(\{|\}|\[|\]|"|:|,|\\|"file_id"|"name"|"files/a"|metadata| |é){0,40}"#) {
        for channel in [OpenAi, Anthropic, Gemini] {
            named(channel, &text, Some(text.as_bytes()));
        }
        for reading in [Reading::Object(ResourceKind::File), Reading::Around, Reading::Names] {
            let mut learner = Learner::new(reading);
            learner.see_object(text.as_bytes());
            learner.see_event(text.as_bytes());
            learner.take();
        }
    }

    #[test]
    fn finds_an_id_at_any_depth(depth in 0_usize..50, before in any::<String>(), id in "[a-z0-9_-]{1,30}") {
        let mut body = serde_json::json!({"text": before, "file_id": id});
        for _ in 0..depth {
            body = serde_json::json!({"x": [before, body]});
        }
        prop_assert_eq!(named_of(OpenAi, "/v1/responses", &body.to_string()), [id]);
    }
}
