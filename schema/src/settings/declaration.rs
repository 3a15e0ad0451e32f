//! What is known about a setting.

/// A language of the API and the UI.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// zh-CN, also the choice when a client asks for none that is known.
    #[default]
    Chinese,
    /// en-US.
    English,
    /// ja-JP.
    Japanese,
}

impl Language {
    /// The language of an `Accept-Language` header: the first tag decides, its region and weight do not matter.
    pub fn from_accept_language(header: &str) -> Self {
        let first = header.trim_start().as_bytes();
        match first.get(..2).map(<[u8]>::to_ascii_lowercase).as_deref() {
            Some(b"en") => Self::English,
            Some(b"ja") => Self::Japanese,
            _ => Self::Chinese,
        }
    }
}

/// A text for people in every language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text {
    /// zh-CN.
    pub zh: &'static str,
    /// en-US.
    pub en: &'static str,
    /// ja-JP.
    pub ja: &'static str,
}

impl Text {
    /// The same text in zh-CN, en-US and ja-JP.
    pub const fn new(zh: &'static str, en: &'static str, ja: &'static str) -> Self {
        Self { zh, en, ja }
    }

    /// The text in `language`.
    pub const fn get(&self, language: Language) -> &'static str {
        match language {
            Language::Chinese => self.zh,
            Language::English => self.en,
            Language::Japanese => self.ja,
        }
    }
}

/// JSON type of a setting's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whole number.
    Int,
    /// Switch.
    Bool,
    /// Text.
    Text,
}

impl Kind {
    /// The word of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Bool => "bool",
            Self::Text => "string",
        }
    }
}

/// Section in which people find a setting; lists show them in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Category {
    /// The installation itself, its logs, its proxy keys.
    Basic,
    /// Upstream calls.
    Request,
    /// Use and validation of keys.
    Key,
    /// What happens when keys or upstreams fail.
    Resilience,
}

impl Category {
    /// Every category, in order.
    pub const ALL: [Self; 4] = [Self::Basic, Self::Request, Self::Key, Self::Resilience];

    /// Heading of the section.
    pub const fn name(self) -> Text {
        match self {
            Self::Basic => Text::new("基础设置", "Basic settings", "基本設定"),
            Self::Request => Text::new("请求设置", "Request settings", "リクエスト設定"),
            Self::Key => Text::new("密钥设置", "Key settings", "キー設定"),
            Self::Resilience => Text::new("容错设置", "Resilience settings", "耐障害性設定"),
        }
    }
}

/// Everything that is known about one setting.
#[derive(Clone, Copy, Debug)]
pub struct Declaration {
    /// Name in the database, in the API and in `gpt-load.toml`.
    pub key: &'static str,
    /// Type of the value.
    pub kind: Kind,
    /// Value while nothing else is said, as it would be stored.
    pub default: &'static str,
    /// Smallest integer allowed.
    pub min: Option<i64>,
    /// Largest integer allowed.
    pub max: Option<i64>,
    /// The only texts allowed; empty = any.
    pub values: &'static [&'static str],
    /// Whether an empty text is refused.
    pub required: bool,
    /// Whether the value is or holds a secret: masked wherever it is not the value itself that was asked for.
    pub secret: bool,
    /// Whether a change works without a restart.
    pub hot: bool,
    /// Whether a group may have its own value.
    pub group_override: bool,
    /// Whether a value is accepted and kept, but nothing heeds it in this version.
    pub planned: bool,
    /// Section.
    pub category: Category,
    /// Unit of an integer (`s`, `min`, `ms`, `days`, `%`); empty = a plain number.
    pub unit: &'static str,
    /// Environment names of earlier generations whose value becomes the initial one.
    pub former: &'static [&'static str],
    /// Label.
    pub name: Text,
    /// What it does.
    pub description: Text,
}

impl Declaration {
    /// What holds for a setting as long as its declaration does not say otherwise.
    pub(in crate::settings) const BLANK: Self = Self {
        key: "",
        kind: Kind::Text,
        default: "",
        min: None,
        max: None,
        values: &[],
        required: false,
        secret: false,
        hot: true,
        group_override: true,
        planned: false,
        category: Category::Resilience,
        unit: "",
        former: &[],
        name: Text::new("", "", ""),
        description: Text::new("", "", ""),
    };

    /// Name of the environment variable that gives the initial value: the key in capitals.
    pub fn environment(&self) -> String {
        self.key.to_ascii_uppercase()
    }
}
