//! Query parameters and pagination.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    str::FromStr,
};

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use gpt_load_schema::{ids::GroupId, key::KeyState};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    error::{ApiError, ErrorCode},
    locale::Text,
    messages,
};

/// Query parameters; the first of several with one name counts, invalid UTF-8 is replaced.
#[derive(Default)]
pub(super) struct Params(Vec<(String, String)>);

impl FromRequest for Params {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::parse(request.query_string())))
    }
}

impl Params {
    fn parse(query: &str) -> Self {
        Self(url::form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// The value of `name`; `None` when absent or empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        value.filter(|value| !value.is_empty())
    }

    /// The value of `name` as a number; `None` when it is none.
    pub(super) fn number<T: FromStr>(&self, name: &str) -> Option<T> {
        self.get(name)?.parse().ok()
    }

    /// The required `group_id`.
    pub(super) fn group_id(&self) -> Result<GroupId, ApiError> {
        self.number::<i64>("group_id").filter(|id| *id > 0).map(GroupId).ok_or_else(|| {
            ApiError::field(
                ErrorCode::BadRequest,
                "group_id",
                Text::english("group_id is required and must be a positive whole number"),
            )
        })
    }

    /// The optional `status`: a key state, or `None` for all keys. `also_all` lets the word `all` through.
    pub(super) fn status(&self, also_all: bool) -> Result<Option<KeyState>, ApiError> {
        self.key_state("status", also_all)
    }

    /// A key state in `name`, as [`Params::status`].
    pub(super) fn key_state(&self, name: &str, also_all: bool) -> Result<Option<KeyState>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some("all") if also_all => Ok(None),
            Some(word) => word.parse().map(Some).map_err(|_| {
                let known = KeyState::ALL.map(KeyState::as_str).join(", ");
                ApiError::invalid(name, messages::STATUS_UNKNOWN.with(known))
            }),
        }
    }

    /// `page` and `page_size`, within their bounds.
    pub(super) fn paging(&self) -> Paging {
        Paging {
            page: self.number("page").filter(|page| *page >= 1).unwrap_or(1),
            page_size: self.number("page_size").filter(|size| *size >= 1).unwrap_or(15).min(1000),
        }
    }
}

/// Which page of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Paging {
    /// From 1; at most what a signed 64-bit number holds.
    pub(super) page: i64,
    /// 1–1000.
    pub(super) page_size: i64,
}

impl Paging {
    /// The page to ask the store for: the same, or an equally empty one whose offset still is a number.
    pub(super) fn stored_page(self) -> u64 {
        self.page.min(i64::MAX / 1000).unsigned_abs()
    }

    /// The answer's `data` for one page of `total` items.
    pub(super) fn page<T: Serialize>(self, items: Vec<T>, total: i64) -> PageBody<T> {
        let Self { page, page_size } = self;
        let total_pages = self.pages(total);
        PageBody { items, pagination: Pagination { page, page_size, total_items: total, total_pages } }
    }

    /// How many pages `total` items fill.
    pub(super) fn pages(self, total: i64) -> u64 {
        total.max(0).unsigned_abs().div_ceil(self.page_size.unsigned_abs())
    }
}

/// One page of a list, as the API shows it.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(inline)]
pub(super) struct PageBody<T> {
    items: Vec<T>,
    pagination: Pagination,
}

#[derive(Debug, JsonSchema, Serialize)]
struct Pagination {
    page: i64,
    page_size: i64,
    total_items: i64,
    total_pages: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paging_stays_within_its_bounds() {
        let cases = [
            ("", 1, 15),
            ("page=3&page_size=12", 3, 12),
            ("page=0&page_size=0", 1, 15),
            ("page=-1&page_size=-1", 1, 15),
            ("page=x&page_size=1.5", 1, 15),
            ("page=99999999999999999999&page_size=99999999999999999999", 1, 15),
            ("page=9223372036854775807&page_size=1001", i64::MAX, 1000),
            ("page=2&page=5", 2, 15),
        ];
        for (query, page, page_size) in cases {
            assert_eq!(Params::parse(query).paging(), Paging { page, page_size }, "{query}");
        }
    }

    #[test]
    fn the_last_page_may_be_short_and_an_empty_list_has_none() {
        let pages = |total| Paging { page: 1, page_size: 15 }.page(Vec::<i64>::new(), total).pagination.total_pages;
        assert_eq!([0, 1, 15, 16].map(pages), [0, 1, 1, 2]);
        assert!(Paging { page: i64::MAX, page_size: 1000 }.stored_page().checked_mul(1000).is_some());
    }

    #[test]
    fn group_ids_are_positive() {
        for query in ["", "group_id=", "group_id=0", "group_id=-1", "group_id=1.0", "group_id=99999999999999999999"] {
            let error = Params::parse(query).group_id().unwrap_err();
            assert_eq!((error.code(), error.details()[0].field.as_str()), (ErrorCode::BadRequest, "group_id"));
        }
        assert_eq!(Params::parse("group_id=7").group_id().unwrap(), GroupId(7));
    }

    #[test]
    fn a_status_is_a_state() {
        assert_eq!(Params::parse("status=degraded").status(false).unwrap(), Some(KeyState::Degraded));
        assert_eq!(Params::parse("status=").status(false).unwrap(), None);
        assert_eq!(Params::parse("status=all").status(true).unwrap(), None);
        assert_eq!(Params::parse("status=all").status(false).unwrap_err().code(), ErrorCode::ValidationFailed);
        assert_eq!(Params::parse("status=Active").status(true).unwrap_err().code(), ErrorCode::ValidationFailed);
    }
}
