//! Routes under `/__double/`, by which another process scripts the double.
//!
//! | route | does |
//! | --- | --- |
//! | `PUT /__double/keys/{key}` | body: a behaviour, or a list of them, for requests with this key |
//! | `DELETE /__double/keys/{key}` | forgets the behaviours of the key |
//! | `PUT /__double/every` | a behaviour for every request, whatever else is scripted: an egress block, an outage |
//! | `DELETE /__double/every` | ends it |
//! | `PUT /__double/budget` | body: a budget for each key, nothing spent yet |
//! | `GET /__double/budget` | what each key has asked for: `{"keys": {"sk-a": {"served": 1, "refused": 0}}, "refused": 0}` |
//! | `DELETE /__double/budget` | no budget |
//! | `PUT /__double/next` | behaviours for the next requests, whatever their key |
//! | `PUT /__double/paths?part=…` | behaviours for requests whose target contains the part |
//! | `GET /__double/requests` | received requests; `?wait=N` answers when N have come |
//! | `DELETE /__double` | forgets behaviours, budgets, requests and files |

use percent_encoding::percent_decode_str;
use serde_json::json;

use super::answer::Answer;
use super::behaviour::Behaviour;
use super::errors::Dialect;
use super::request::Head;
use super::server::Shared;
use super::wire::Body;

/// Answers a control request; `None` when the path is not one.
pub(crate) async fn answer(head: &Head, body: &Body, shared: &Shared) -> Option<Answer> {
    let rest = head.path().strip_prefix("/__double")?;
    let rest = rest.strip_prefix('/').unwrap_or(rest);
    let done = || Answer::json(Dialect::OpenAi, json!({"done": true}).to_string());
    let refused = |message: &str| Answer::error(Dialect::OpenAi, 400, None, message);
    let (place, name) = rest.split_once('/').unwrap_or((rest, ""));
    Some(match (head.method.as_str(), place) {
        ("PUT", "keys" | "next" | "paths") => match behaviours(body) {
            Err(message) => refused(&message),
            Ok(behaviours) => {
                let name = percent_decode_str(name).decode_utf8_lossy();
                let part = head.query("part").unwrap_or_default();
                for behaviour in behaviours {
                    match place {
                        "keys" => shared.script.on_key(&name, behaviour),
                        "next" => shared.script.on_next(behaviour),
                        _ => shared.script.on_path(&part, behaviour),
                    }
                }
                done()
            }
        },
        ("PUT", "every") => match serde_json::from_slice(&body.bytes) {
            Err(error) => refused(&error.to_string()),
            Ok(behaviour) => {
                shared.script.on_every(Some(behaviour));
                done()
            }
        },
        ("DELETE", "every") => {
            shared.script.on_every(None);
            done()
        }
        ("PUT", "budget") => match serde_json::from_slice(&body.bytes) {
            Err(error) => refused(&error.to_string()),
            Ok(budget) => {
                shared.budgets.set(Some(budget));
                done()
            }
        },
        ("GET", "budget") => {
            let keys = shared.budgets.asked();
            let refused: u64 = keys.values().map(|asked| asked.refused).sum();
            Answer::json(Dialect::OpenAi, json!({"keys": keys, "refused": refused}).to_string())
        }
        ("DELETE", "budget") => {
            shared.budgets.set(None);
            done()
        }
        ("DELETE", "keys") => {
            shared.script.forget_key(&percent_decode_str(name).decode_utf8_lossy());
            done()
        }
        ("GET", "requests") => {
            let count = head.query("wait").and_then(|count| count.parse().ok()).unwrap_or(0);
            let requests = shared.record.wait_for(count).await;
            let requests: Vec<_> = requests.iter().map(super::record::Received::to_json).collect();
            Answer::json(Dialect::OpenAi, json!({"requests": requests}).to_string())
        }
        ("DELETE", "") => {
            shared.script.clear();
            shared.budgets.set(None);
            shared.record.clear();
            shared.files.clear();
            done()
        }
        _ => Answer::error(Dialect::OpenAi, 404, None, "The double has no such control route."),
    })
}

fn behaviours(body: &Body) -> Result<Vec<Behaviour>, String> {
    let list = body.bytes.trim_ascii_start().starts_with(b"[");
    let parsed = if list {
        serde_json::from_slice(&body.bytes)
    } else {
        serde_json::from_slice(&body.bytes).map(|one| vec![one])
    };
    parsed.map_err(|error| error.to_string())
}
