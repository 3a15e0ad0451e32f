//! What a person sees in the terminal when the node has started.

use std::fmt::Write as _;

use gpt_load_schema::secret::Secret;

use super::management_key::{ManagementKey, Origin};

/// Group that the lines to paste make.
const FIRST_GROUP: &str = "default";
/// Model that they ask for; the cheapest.
const MODEL: &str = "gpt-4.1-nano";

/// Facts for the greeting.
pub struct Greeting<'a> {
    /// Where the node is reached, e.g. `http://localhost:3001`.
    pub url: &'a str,
    /// The management key.
    pub management_key: &'a ManagementKey,
    /// A proxy key that was generated at this start.
    pub new_proxy_key: Option<&'a Secret>,
    /// Name of the default group, if it exists.
    pub default_group: Option<&'a str>,
    /// Whether no proxy key is needed.
    pub anonymous: bool,
    /// Whether the management key is a proxy key too, as it is at first when `AUTH_KEY` is configured.
    pub is_shared: bool,
}

impl Greeting<'_> {
    /// The text. Generated secrets are in it exactly once, at the start that made them.
    pub fn text(&self) -> String {
        let mut text = format!("\nGPT-Load {} serves at {}\n", env!("CARGO_PKG_VERSION"), self.url);
        match &self.management_key.origin {
            Origin::Configured => {}
            Origin::File(path) => line(&mut text, "Management key", &format!("in {}", path.display())),
            Origin::Generated(path) => {
                line(&mut text, "Management key", self.management_key.secret.expose());
                line(&mut text, "", &format!("(new; kept in {}, shown only now)", path.display()));
            }
        }
        if let Some(key) = self.new_proxy_key {
            line(&mut text, "Proxy key", key.expose());
            line(&mut text, "", "(new; for applications; shown only now, kept in the settings)");
        }
        if self.is_shared {
            line(
                &mut text,
                "Proxy key",
                "the same as AUTH_KEY; give applications one of their own: `proxy_keys` in the settings",
            );
        }
        match self.default_group {
            Some(group) => {
                let _ = write!(text, "\nTry it (group `{group}`):\n\n");
                self.request(&mut text, &format!("{}/v1", self.url));
            }
            None => {
                self.first_group(&mut text);
                self.request(&mut text, &format!("{}/proxy/{FIRST_GROUP}/v1", self.url));
            }
        }
        text
    }

    /// Lines that make a group and give it a key.
    fn first_group(&self, text: &mut String) {
        let (url, auth) = (self.url, self.authorization());
        let _ = write!(
            text,
            "\nThere is no group `{FIRST_GROUP}` yet. To make one, say in another terminal where the provider is:\n\n  \
             UPSTREAM=https://api.openai.com KEY=sk-your-provider-key\n\n\
             or, without a provider key, run `make double` in a third one, which answers any key:\n\n  \
             UPSTREAM=http://127.0.0.1:4010 KEY=sk-any\n\n\
             Then make a group and give it the key:\n\n  \
             AUTH=\"{auth}\"\n  \
             GROUP=$(curl -s {url}/api/groups -H \"$AUTH\" -d '{{\"name\":\"{FIRST_GROUP}\",\"channel_type\":\"openai\",\
             \"test_model\":\"{MODEL}\",\"upstreams\":[{{\"url\":\"'$UPSTREAM'\",\"weight\":1}}]}}' \\\n    \
             | sed -n 's/.*\"id\":\\([0-9]*\\).*/\\1/p')\n  \
             curl {url}/api/keys/add-multiple -H \"$AUTH\" -d '{{\"group_id\":'$GROUP',\"keys_text\":\"'$KEY'\"}}'\n\n\
             Then applications change only their base URL and key:\n\n"
        );
    }

    /// Lines that ask for a streamed answer.
    fn request(&self, text: &mut String, base_url: &str) {
        let (key, code) = match (self.anonymous, self.new_proxy_key) {
            (true, _) => ("any", "\"any\"".to_owned()),
            (false, Some(key)) => (key.expose(), format!("\"{}\"", key.expose())),
            (false, None) => {
                let (url, auth) = (self.url, self.authorization());
                let _ = write!(
                    text,
                    "  PROXY_KEY=$(curl -s {url}/api/settings -H \"{auth}\" \\\n    \
                     | sed -n 's/.*\"key\":\"proxy_keys\"[^}}]*\"value\":\"\\([^\",]*\\).*/\\1/p')\n"
                );
                ("$PROXY_KEY", "PROXY_KEY".to_owned())
            }
        };
        let _ = write!(
            text,
            "  curl -N {base_url}/chat/completions -H \"Authorization: Bearer {key}\" -H 'Content-Type: application/json' \\\n    \
             -d '{{\"model\":\"{MODEL}\",\"stream\":true,\"messages\":[{{\"role\":\"user\",\"content\":\"hi\"}}]}}'\n\n  \
             client = OpenAI(base_url=\"{base_url}\", api_key={code})   # Python, package openai\n\n"
        );
    }

    /// The header that opens the management API, for a shell's double quotes; without the key itself.
    fn authorization(&self) -> String {
        let key = match &self.management_key.origin {
            Origin::Configured => "$AUTH_KEY".to_owned(),
            Origin::File(path) | Origin::Generated(path) => {
                let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                format!("$(cat '{}')", path.display())
            }
        };
        format!("Authorization: Bearer {key}")
    }
}

fn line(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "  {name:<15} {value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_secrets_are_shown_and_configured_ones_are_not() {
        let generated =
            ManagementKey { secret: "made-up-key".into(), origin: Origin::Generated("data/auth_key".into()) };
        let proxy_key = Secret::from("sk-proxy");
        let greeting = Greeting {
            url: "http://localhost:3001",
            management_key: &generated,
            new_proxy_key: Some(&proxy_key),
            default_group: None,
            anonymous: false,
            is_shared: false,
        };
        let text = greeting.text();
        assert!(text.matches("made-up-key").count() == 1 && text.contains("api_key=\"sk-proxy\""), "{text}");
        assert!(text.contains("http://localhost:3001/proxy/default/v1/chat/completions"), "{text}");
        assert!(text.contains("/data/auth_key')\"") && !text.contains("$PROXY_KEY"), "{text}");
        let configured = ManagementKey { secret: "made-up-key".into(), origin: Origin::Configured };
        let greeting =
            Greeting { management_key: &configured, new_proxy_key: None, default_group: Some("default"), ..greeting };
        let text = greeting.text();
        assert!(!text.contains("made-up-key") && !text.contains("/api/groups"), "{text}");
        assert!(text.contains("PROXY_KEY=$(curl -s http://localhost:3001/api/settings"), "{text}");
        assert!(text.contains("\"Authorization: Bearer $PROXY_KEY\""), "a shell expands it: {text}");
    }
}
