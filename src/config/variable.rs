//! What is known about a static setting, and what a row of the table becomes.

use gpt_load_schema::settings::Text;

/// Section of the documentation in which a variable stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// The listening side.
    Server,
    /// Who may do what, and encryption.
    Security,
    /// Databases, Redis, files.
    Storage,
    /// The data path.
    Proxy,
    /// A proxy from one file of keys.
    OneFile,
    /// Browsers of other origins.
    Cors,
    /// Logs, metrics and traces.
    Observability,
}

impl Section {
    /// Every section, in order.
    pub const ALL: [Self; 7] =
        [Self::Server, Self::Security, Self::Storage, Self::Proxy, Self::OneFile, Self::Cors, Self::Observability];

    /// Heading.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Server => "Server",
            Self::Security => "Security",
            Self::Storage => "Storage and cluster",
            Self::Proxy => "Data path",
            Self::OneFile => "A proxy from one file of keys",
            Self::Cors => "CORS",
            Self::Observability => "Logs, metrics and traces",
        }
    }
}

/// How much of a value may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrecy {
    /// All.
    Public,
    /// All but user, password and what looks like one.
    Credentials,
    /// Nothing.
    Secret,
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    None,
    /// Seconds.
    Seconds,
    /// Bytes; `16MiB` and the like are understood.
    Bytes,
}

impl Unit {
    /// As the documentation says it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Seconds => "s",
            Self::Bytes => "bytes",
        }
    }
}

/// A check beyond type and range; `Err` says what the value must be.
pub(super) type Check = fn(&str) -> Result<(), &'static str>;

/// Everything that is known about one static setting.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// Name of the environment variable; in small letters, the key in `gpt-load.toml`.
    pub name: &'static str,
    /// Other names that mean the same; `name` wins.
    pub former: &'static [&'static str],
    /// Value while nothing else is said; `{data_dir}`, `{cores}` and `{hostname}` are filled in.
    pub default: &'static str,
    /// Smallest number allowed.
    pub min: u64,
    /// Largest number allowed.
    pub max: u64,
    /// What a number counts.
    pub unit: Unit,
    /// The only texts allowed; empty = any.
    pub values: &'static [&'static str],
    /// How much of the value may be shown.
    pub secrecy: Secrecy,
    /// Whether a change of the file works without a restart.
    pub hot: bool,
    /// Whether a value is accepted, but nothing heeds it in this version.
    pub planned: bool,
    /// Section.
    pub section: Section,
    /// What it does.
    pub description: Text,
    /// Check beyond type and range.
    pub(super) check: Check,
}

impl Variable {
    /// What holds for a variable as long as its row does not say otherwise.
    pub(super) const BLANK: Self = Self {
        name: "",
        former: &[],
        default: "",
        min: 0,
        max: u64::MAX,
        unit: Unit::None,
        values: &[],
        secrecy: Secrecy::Public,
        hot: false,
        planned: false,
        section: Section::Server,
        description: Text::new("", "", ""),
        check: |_| Ok(()),
    };

    /// The key in `gpt-load.toml`.
    pub fn key(&self) -> String {
        self.name.to_ascii_lowercase()
    }

    /// `text` as it may be printed.
    pub fn shown(&self, text: &str) -> String {
        match self.secrecy {
            Secrecy::Public => text.to_owned(),
            Secrecy::Credentials => super::dsn::masked(text),
            Secrecy::Secret if text.is_empty() => String::new(),
            Secrecy::Secret => "****".to_owned(),
        }
    }
}

/// Makes `VARIABLES` and `Config` of the table; attributes that a row leaves out are those of `Variable::BLANK`.
macro_rules! variables {
    ($($section:ident { $(
        $name:ident $field:ident: $type:ty = $default:literal {
            $($attribute:ident: $value:expr),* $(,)?
        } $zh:literal $en:literal $ja:literal
    )* })*) => {
        /// Every static setting, in the order of the documentation.
        pub static VARIABLES: &[Variable] = &[$($(
            Variable {
                name: stringify!($name),
                default: $default,
                section: Section::$section,
                description: Text::new($zh, $en, $ja),
                $($attribute: $value,)*
                ..Variable::BLANK
            },
        )*)*];

        /// The static settings of a node.
        #[derive(Clone, PartialEq)]
        pub struct Config {
            $($(
                #[doc = $en]
                pub $field: $type,
            )*)*
            /// Initial values of dynamic settings by key, as they would be stored; what is stored rules over them.
            pub initial: BTreeMap<String, String>,
        }

        impl Config {
            /// Reads every variable; `None` when at least one problem was added to `problems`.
            pub(super) fn read(values: &Values, problems: &mut Vec<ConfigError>) -> Option<Self> {
                $($(let $field = values.take::<$type>(stringify!($name), problems);)*)*
                let initial = values.initial(problems);
                Some(Self { $($($field: $field?,)*)* initial })
            }

            /// Takes over from `newer` what may change while the node runs and says what changed.
            pub(super) fn adopt(&mut self, newer: Self) -> Change {
                let mut change = Change::default();
                $($(
                    if self.$field != newer.$field {
                        if change.note(stringify!($name)) {
                            self.$field = newer.$field;
                        }
                    }
                )*)*
                if self.initial != newer.initial {
                    change.initial = true;
                    self.initial = newer.initial;
                }
                change
            }
        }
    };
}

pub(super) use variables;
