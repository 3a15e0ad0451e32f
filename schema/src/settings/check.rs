//! What may be stored.

use std::fmt;

use serde_json::{Map, Value};

use super::{
    declaration as find,
    declaration::{Declaration, Kind, Language},
    grammar,
};

/// Bytes of a text: encrypted, it still fits the smallest text column of all databases.
const MAX_BYTES: usize = 40_000;

/// The rule that a value broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// There is no such setting.
    Unknown,
    /// The setting exists for the whole system only.
    NotOverridable,
    /// The value must be of this type.
    WrongType(Kind),
    /// The value must be this or larger.
    TooSmall(i64),
    /// The value must be this or smaller.
    TooLarge(i64),
    /// The value must be one of these.
    NotOneOf(&'static [&'static str]),
    /// The value must not be empty.
    Required,
    /// The value must be a list of status codes and ranges.
    StatusCodes,
    /// The value must be the URL of a proxy.
    ProxyUrl,
    /// The value must be the name of a header.
    HeaderName,
    /// The value must have this many bytes or fewer.
    TooLong(usize),
}

impl Rule {
    /// A word for programs that does not change.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::NotOverridable => "not_overridable",
            Self::WrongType(_) => "wrong_type",
            Self::TooSmall(_) => "too_small",
            Self::TooLarge(_) => "too_large",
            Self::NotOneOf(_) => "not_one_of",
            Self::Required => "required",
            Self::StatusCodes => "status_codes",
            Self::ProxyUrl => "proxy_url",
            Self::HeaderName => "header_name",
            Self::TooLong(_) => "too_long",
        }
    }

    /// The rule in words; begins in the middle of a sentence whose subject is the setting.
    pub fn sentence(self, language: Language) -> String {
        use Language::{Chinese as Zh, English as En, Japanese as Ja};
        match (self, language) {
            (Self::Unknown, Zh) => "不是已知的设置项".into(),
            (Self::Unknown, En) => "is not a known setting".into(),
            (Self::Unknown, Ja) => "は未知の設定項目です".into(),
            (Self::NotOverridable, Zh) => "不能在分组中覆盖".into(),
            (Self::NotOverridable, En) => "cannot be overridden by a group".into(),
            (Self::NotOverridable, Ja) => "はグループで上書きできません".into(),
            (Self::WrongType(kind), Zh) => format!("必须是{}", kind_noun(kind, Zh)),
            (Self::WrongType(kind), En) => format!("must be {}", kind_noun(kind, En)),
            (Self::WrongType(kind), Ja) => format!("は{}でなければなりません", kind_noun(kind, Ja)),
            (Self::TooSmall(min), Zh) => format!("不能小于 {min}"),
            (Self::TooSmall(min), En) => format!("must be {min} or more"),
            (Self::TooSmall(min), Ja) => format!("は {min} 以上でなければなりません"),
            (Self::TooLarge(max), Zh) => format!("不能大于 {max}"),
            (Self::TooLarge(max), En) => format!("must be {max} or less"),
            (Self::TooLarge(max), Ja) => format!("は {max} 以下でなければなりません"),
            (Self::NotOneOf(values), Zh) => format!("必须是以下之一：{}", values.join("、")),
            (Self::NotOneOf(values), En) => format!("must be one of {}", values.join(", ")),
            (Self::NotOneOf(values), Ja) => format!("は次のいずれかでなければなりません：{}", values.join("、")),
            (Self::Required, Zh) => "不能为空".into(),
            (Self::Required, En) => "must not be empty".into(),
            (Self::Required, Ja) => "は空にできません".into(),
            (Self::StatusCodes, Zh) => "必须是 100 到 999 的状态码或范围，以逗号分隔，例如 401-403,429,500-599".into(),
            (Self::StatusCodes, En) => {
                "must be status codes or ranges from 100 to 999, separated by commas, such as 401-403,429,500-599".into()
            }
            (Self::StatusCodes, Ja) => {
                "は 100 から 999 のステータスコードまたは範囲をカンマで区切って指定してください（例：401-403,429,500-599）".into()
            }
            (Self::ProxyUrl, Zh) => "必须是 http、https、socks5 或 socks5h 代理地址".into(),
            (Self::ProxyUrl, En) => "must be the URL of an http, https, socks5 or socks5h proxy".into(),
            (Self::ProxyUrl, Ja) => "は http、https、socks5、socks5h いずれかのプロキシ URL でなければなりません".into(),
            (Self::HeaderName, Zh) => "必须是合法的请求头名称".into(),
            (Self::HeaderName, En) => "must be the name of a header".into(),
            (Self::HeaderName, Ja) => "は有効なヘッダー名でなければなりません".into(),
            (Self::TooLong(max), Zh) => format!("不能超过 {max} 字节"),
            (Self::TooLong(max), En) => format!("must have {max} bytes or fewer"),
            (Self::TooLong(max), Ja) => format!("は {max} バイト以下でなければなりません"),
        }
    }
}

const fn kind_noun(kind: Kind, language: Language) -> &'static str {
    match (kind, language) {
        (Kind::Int, Language::Chinese) => "整数",
        (Kind::Int, Language::English) => "a whole number",
        (Kind::Int, Language::Japanese) => "整数",
        (Kind::Bool, Language::Chinese) => "布尔值（true 或 false）",
        (Kind::Bool, Language::English) => "true or false",
        (Kind::Bool, Language::Japanese) => "真偽値（true または false）",
        (Kind::Text, Language::Chinese) => "文本",
        (Kind::Text, Language::English) => "a text",
        (Kind::Text, Language::Japanese) => "文字列",
    }
}

/// A value that cannot be taken. Never holds the value itself, which may be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The setting, as the caller named it.
    pub key: String,
    /// What the value broke.
    pub rule: Rule,
    /// Both in English.
    pub message: String,
}

impl Problem {
    /// `key` broke `rule`.
    pub fn new(key: &str, rule: Rule) -> Self {
        Self { key: key.to_owned(), rule, message: format!("{key} {}", rule.sentence(Language::English)) }
    }

    /// The message in `language`.
    pub fn localized(&self, language: Language) -> String {
        format!("{} {}", self.key, self.rule.sentence(language))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

/// Checks a value that came as JSON and returns the text to store.
///
/// # Errors
/// The first rule that the value breaks.
pub fn check(declaration: &Declaration, value: &Value) -> Result<String, Problem> {
    json_text(declaration, value)
        .and_then(|text| check_text(declaration, &text))
        .map_err(|rule| Problem::new(declaration.key, rule))
}

/// Checks the overrides of a group and returns those to store: `null` means "no override" and is dropped.
///
/// # Errors
/// The first setting, in the order given, that is unknown, belongs to the system only or has a value that is not allowed.
pub fn check_overrides(config: &Map<String, Value>) -> Result<Map<String, Value>, Problem> {
    let mut overrides = Map::new();
    for (key, value) in config.iter().filter(|(_, value)| !value.is_null()) {
        let declaration = find(key).ok_or_else(|| Problem::new(key, Rule::Unknown))?;
        if !declaration.group_override {
            return Err(Problem::new(key, Rule::NotOverridable));
        }
        let text = check(declaration, value)?;
        overrides.insert(key.clone(), to_json(declaration.kind, &text));
    }
    Ok(overrides)
}

/// Checks a value that came as text (a database row, an environment variable) and returns the text to store.
///
/// # Errors
/// The first rule that the value breaks.
pub fn check_text(declaration: &Declaration, text: &str) -> Result<String, Rule> {
    match declaration.kind {
        Kind::Int => check_int(declaration, text),
        Kind::Bool => parse_bool(text).map(|value| value.to_string()).ok_or(Rule::WrongType(Kind::Bool)),
        Kind::Text => check_words(declaration, text),
    }
}

/// A stored text as JSON of its kind; a text that is not of its kind stays a text.
pub(super) fn to_json(kind: Kind, text: &str) -> Value {
    let typed = match kind {
        Kind::Int => text.parse::<u64>().ok().map(Value::from),
        Kind::Bool => text.parse::<bool>().ok().map(Value::from),
        Kind::Text => None,
    };
    typed.unwrap_or_else(|| Value::from(text))
}

/// The text of a JSON value that has the right type.
fn json_text(declaration: &Declaration, value: &Value) -> Result<String, Rule> {
    match (declaration.kind, value) {
        (Kind::Int, Value::Number(number)) => Ok(number.to_string()),
        (Kind::Bool, Value::Bool(value)) => Ok(value.to_string()),
        (Kind::Text, Value::String(text)) => Ok(text.clone()),
        (kind, _) => Err(Rule::WrongType(kind)),
    }
}

fn check_int(declaration: &Declaration, text: &str) -> Result<String, Rule> {
    let number = parse_int(text).ok_or(Rule::WrongType(Kind::Int))?;
    let min = declaration.min.unwrap_or(0);
    let max = declaration.max.unwrap_or(i64::MAX);
    if number < i128::from(min) {
        return Err(Rule::TooSmall(min));
    }
    if number > i128::from(max) {
        return Err(Rule::TooLarge(max));
    }
    Ok(number.to_string())
}

/// Decimal digits, or a number without fraction in exponent or point notation (`1e+06`, `600.0`).
fn parse_int(text: &str) -> Option<i128> {
    let text = text.trim();
    text.parse().ok().or_else(|| {
        let number: f64 = text.parse().ok()?;
        // Beyond 2^53 a float no longer says which whole number was meant.
        (number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0).then_some(number as i128)
    })
}

/// `true/1/yes/on` and `false/0/no/off` in any case.
fn parse_bool(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

fn check_words(declaration: &Declaration, text: &str) -> Result<String, Rule> {
    let text = match declaration.key {
        "proxy_keys" => text.split(',').map(str::trim).filter(|key| !key.is_empty()).collect::<Vec<_>>().join(","),
        _ => text.trim().to_owned(),
    };
    let broken = match declaration.key {
        _ if !declaration.values.is_empty() && !declaration.values.contains(&text.as_str()) => {
            Some(Rule::NotOneOf(declaration.values))
        }
        _ if text.len() > MAX_BYTES => Some(Rule::TooLong(MAX_BYTES)),
        _ if text.is_empty() => declaration.required.then_some(Rule::Required),
        "failover_status_codes" if !grammar::is_status_code_list(&text) => Some(Rule::StatusCodes),
        "proxy_url" if !grammar::is_proxy_url(&text) => Some(Rule::ProxyUrl),
        "sticky_header" if !grammar::is_header_name(&text) => Some(Rule::HeaderName),
        _ => None,
    };
    broken.map_or(Ok(text), Err)
}
