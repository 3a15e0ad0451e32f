//! Reading JSON member by member, with every error named by its place.

use serde_json::{Map, Value};

use crate::validate::FieldError;

/// A JSON object and where it stands.
pub(super) struct Object<'a> {
    place: String,
    members: &'a Map<String, Value>,
}

impl<'a> Object<'a> {
    pub(super) fn new(place: impl Into<String>, members: &'a Map<String, Value>) -> Self {
        Self { place: place.into(), members }
    }

    /// Full name of the member `name`.
    pub(super) fn path(&self, name: &str) -> String {
        format!("{}.{name}", self.place)
    }

    /// Whether the member is there and not `null`.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(super) fn missing(&self, name: &str) -> FieldError {
        FieldError::new(self.path(name), "policy_missing", "is required")
    }

    /// The member as it stands; `None` for `null`.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    /// A text; `None` when absent or wrong.
    pub(super) fn text(&self, name: &str, errors: &mut Vec<FieldError>) -> Option<&'a str> {
        let value = self.get(name)?;
        if value.as_str().is_none() {
            errors.push(self.wrong(name, "must be a text"));
        }
        value.as_str()
    }

    /// A whole number within bounds; `None` when absent or wrong.
    pub(super) fn integer(&self, name: &str, min: i64, max: i64, errors: &mut Vec<FieldError>) -> Option<i64> {
        let value = self.get(name)?;
        let number = value.as_i64().filter(|number| (min..=max).contains(number));
        if number.is_none() {
            errors.push(out_of_range(self.path(name), min, max));
        }
        number
    }

    /// One of the words of `known`; `None` when absent, which is an error too, or wrong.
    pub(super) fn word<T: Copy>(
        &self,
        name: &str,
        known: &[T],
        word: fn(T) -> &'static str,
        errors: &mut Vec<FieldError>,
    ) -> Option<T> {
        let entered = self.get(name).and_then(Value::as_str);
        let found = known.iter().copied().find(|known| Some(word(*known)) == entered);
        if found.is_none() {
            let words: Vec<&str> = known.iter().map(|known| word(*known)).collect();
            let message = format!("must be one of {}", words.join(", "));
            errors.push(FieldError::new(self.path(name), "policy_word", message));
        }
        found
    }

    /// The objects of a list; those that are none are left out. No list at all is an empty one.
    pub(super) fn objects(&self, name: &str, max: usize, errors: &mut Vec<FieldError>) -> Vec<Object<'a>> {
        let mut objects = Vec::new();
        for (index, element) in self.list(name, max, errors).iter().enumerate() {
            let place = format!("{}[{index}]", self.path(name));
            match element {
                Value::Object(members) => objects.push(Object { place, members }),
                _ => errors.push(FieldError::new(place, "policy_type", "must be an object")),
            }
        }
        objects
    }

    /// The texts of a list, numbers in decimals, each with its place; those that are none are left out.
    pub(super) fn texts(&self, name: &str, max: usize, errors: &mut Vec<FieldError>) -> Vec<(String, String)> {
        let mut texts = Vec::new();
        for (index, element) in self.list(name, max, errors).iter().enumerate() {
            let place = format!("{}[{index}]", self.path(name));
            match plain(element) {
                Some(text) => texts.push((place, text)),
                None => errors.push(FieldError::new(place, "policy_type", "must be a text or a number")),
            }
        }
        texts
    }

    fn list(&self, name: &str, max: usize, errors: &mut Vec<FieldError>) -> &'a [Value] {
        match self.get(name) {
            None => &[],
            Some(Value::Array(elements)) if elements.len() <= max => elements,
            Some(Value::Array(elements)) => {
                errors.push(FieldError::new(self.path(name), "policy_many", format!("at most {max} elements")));
                &elements[..max]
            }
            Some(_) => {
                errors.push(self.wrong(name, "must be a list"));
                &[]
            }
        }
    }

    pub(super) fn wrong(&self, name: &str, rule: &str) -> FieldError {
        FieldError::new(self.path(name), "policy_type", rule)
    }
}

/// A text, or a number in decimals.
pub(super) fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

pub(super) fn out_of_range(field: String, min: i64, max: i64) -> FieldError {
    FieldError::new(field, "policy_range", format!("must be a whole number from {min} to {max}"))
}
