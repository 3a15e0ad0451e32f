//! Cross-origin requests: the headers of the contract, and every preflight answered at once.

use actix_http::header::{HeaderMap, HeaderValue};
use actix_web::http::header;

/// What browsers are told.
#[derive(Clone, Debug)]
pub struct Cors {
    origins: Vec<String>,
    methods: HeaderValue,
    headers: HeaderValue,
    credentials: bool,
}

impl Cors {
    /// `origins` may hold `*`. With it credentials are never allowed, because any site could then act for the user.
    ///
    /// # Errors
    ///
    /// Names the list that holds a character no header may carry.
    pub fn new(
        origins: Vec<String>,
        methods: &[String],
        headers: &[String],
        credentials: bool,
    ) -> Result<Self, &'static str> {
        let credentials = credentials && !origins.iter().any(|origin| origin == "*");
        Ok(Self {
            methods: HeaderValue::from_str(&methods.join(", ")).map_err(|_| "ALLOWED_METHODS")?,
            headers: HeaderValue::from_str(&headers.join(", ")).map_err(|_| "ALLOWED_HEADERS")?,
            origins,
            credentials,
        })
    }

    /// Puts the headers for a request from `origin` into an answer.
    pub fn apply(&self, origin: Option<&HeaderValue>, answer: &mut HeaderMap) {
        let Some(origin) = origin else { return };
        let allowed = self
            .origins
            .iter()
            .any(|allowed| allowed == "*" || origin.to_str().is_ok_and(|text| text.eq_ignore_ascii_case(allowed)));
        answer.insert(header::VARY, HeaderValue::from_static("Origin"));
        if !allowed {
            return;
        }
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone());
        answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, self.headers.clone());
        if self.credentials {
            answer.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer_to(cors: &Cors, origin: &'static str) -> HeaderMap {
        let mut answer = HeaderMap::new();
        cors.apply(Some(&HeaderValue::from_static(origin)), &mut answer);
        answer
    }

    fn cors(origins: &[&str], credentials: bool) -> Cors {
        let origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
        Cors::new(origins, &["GET".to_owned(), "POST".to_owned()], &["*".to_owned()], credentials).unwrap()
    }

    #[test]
    fn only_listed_origins_are_allowed() {
        let cors = cors(&["https://a.example"], true);
        let answer = answer_to(&cors, "https://a.example");
        assert_eq!(answer.get(header::ACCESS_CONTROL_ALLOW_ORIGIN).unwrap(), "https://a.example");
        assert_eq!(answer.get(header::ACCESS_CONTROL_ALLOW_METHODS).unwrap(), "GET, POST");
        assert_eq!(answer.get(header::ACCESS_CONTROL_ALLOW_CREDENTIALS).unwrap(), "true");
        assert!(!answer_to(&cors, "https://b.example").contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
    }

    #[test]
    fn any_origin_never_comes_with_credentials() {
        let answer = answer_to(&cors(&["*"], true), "https://b.example");
        assert_eq!(answer.get(header::ACCESS_CONTROL_ALLOW_ORIGIN).unwrap(), "https://b.example");
        assert!(!answer.contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS));
    }
}
