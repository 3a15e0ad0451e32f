//! What a row of the table becomes.

/// Makes `DYNAMIC` and `Settings` of the table; fields that a row leaves out are those of `Declaration::BLANK`.
macro_rules! settings {
    (@type Int) => { u64 };
    (@type Bool) => { bool };
    (@type Text) => { String };
    ($($key:ident: $kind:ident { $($field:ident: $value:expr),* $(,)? })*) => {
        /// Every dynamic setting, in the order of the settings page.
        pub static DYNAMIC: &[Declaration] = &[$(
            Declaration {
                key: stringify!($key),
                kind: Kind::$kind,
                $($field: $value,)*
                ..Declaration::BLANK
            },
        )*];

        /// Values of the dynamic settings: the system's, or a group's after its overrides. What a field means, its unit and
        /// its range stand in its declaration.
        #[derive(Clone, PartialEq)]
        #[allow(missing_docs)]
        pub struct Settings {
            $(pub $key: settings!(@type $kind),)*
        }

        impl Settings {
            /// The defaults of all settings.
            pub fn defaults() -> Self {
                let mut settings = Self { $($key: Held::from_text(""),)* };
                for declaration in DYNAMIC {
                    settings.set(declaration.key, declaration.default);
                }
                settings
            }

            /// The value of `key` in its JSON type.
            pub fn get(&self, key: &str) -> Option<Value> {
                match key {
                    $(stringify!($key) => Some(Held::to_json(&self.$key)),)*
                    _ => None,
                }
            }

            /// Takes a text that passed the check of its declaration.
            pub(super) fn set(&mut self, key: &str, text: &str) {
                match key {
                    $(stringify!($key) => self.$key = Held::from_text(text),)*
                    _ => {}
                }
            }
        }
    };
}

pub(super) use settings;
