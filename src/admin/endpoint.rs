//! Routes that answer a wrong method with what would be right.

use actix_web::{
    FromRequest, Handler, Resource, Responder,
    dev::HttpServiceFactory,
    guard::{self, Guard},
    middleware::from_fn,
    web,
};

use super::{
    auth::{Need, authenticate},
    envelope::localise_errors,
    error::ApiError,
};

/// The handlers of one path, with and without a slash at its end. It serves nobody before it is said whom: by
/// [`Endpoint::open`], [`Endpoint::guarded`], [`Endpoint::readable`] or [`Endpoint::admin`].
pub(super) struct Endpoint {
    resource: Resource,
    allow: String,
    /// Whether only the leader can answer reads too.
    is_led: bool,
    #[cfg(test)]
    path: String,
}

impl Endpoint {
    /// The path inside of its scope.
    pub(super) fn at(path: &str) -> Self {
        Self {
            resource: web::resource([path.to_owned(), format!("{path}/")]),
            allow: String::new(),
            is_led: false,
            #[cfg(test)]
            path: path.to_owned(),
        }
    }

    /// Handles `GET`, and `HEAD` by the same handler.
    pub(super) fn get<H, A>(self, handler: H) -> Self
    where
        H: Handler<A>,
        A: FromRequest + 'static,
        H::Output: Responder + 'static,
    {
        self.method("GET, HEAD", guard::Any(guard::Get()).or(guard::Head()), handler)
    }

    /// Handles `POST`.
    pub(super) fn post<H, A>(self, handler: H) -> Self
    where
        H: Handler<A>,
        A: FromRequest + 'static,
        H::Output: Responder + 'static,
    {
        self.method("POST", guard::Post(), handler)
    }

    /// Handles `PUT`.
    pub(super) fn put<H, A>(self, handler: H) -> Self
    where
        H: Handler<A>,
        A: FromRequest + 'static,
        H::Output: Responder + 'static,
    {
        self.method("PUT", guard::Put(), handler)
    }

    /// Handles `PATCH`.
    pub(super) fn patch<H, A>(self, handler: H) -> Self
    where
        H: Handler<A>,
        A: FromRequest + 'static,
        H::Output: Responder + 'static,
    {
        self.method("PATCH", guard::Patch(), handler)
    }

    /// Handles `DELETE`.
    pub(super) fn delete<H, A>(self, handler: H) -> Self
    where
        H: Handler<A>,
        A: FromRequest + 'static,
        H::Output: Responder + 'static,
    {
        self.method("DELETE", guard::Delete(), handler)
    }

    /// Handles every method.
    pub(super) fn any<H, A>(mut self, handler: H) -> Self
    where
        H: Handler<A>,
        A: FromRequest + 'static,
        H::Output: Responder + 'static,
    {
        self.resource = self.resource.route(web::route().to(handler));
        self
    }

    fn method<H, A>(mut self, name: &str, guard: impl Guard + 'static, handler: H) -> Self
    where
        H: Handler<A>,
        A: FromRequest + 'static,
        H::Output: Responder + 'static,
    {
        if !self.allow.is_empty() {
            self.allow.push_str(", ");
        }
        self.allow.push_str(name);
        self.resource = self.resource.route(web::route().guard(guard).to(handler));
        self
    }

    /// Only the leader knows the answer, whatever the method is.
    pub(super) fn led(self) -> Self {
        Self { is_led: true, ..self }
    }

    /// Open to everyone.
    pub(super) fn open(self) -> impl HttpServiceFactory + 'static {
        #[cfg(test)]
        declared::note(&self.path, &self.allow, None);
        self.with_wrong_methods().wrap(from_fn(localise_errors))
    }

    /// Viewers may read it (`GET`, `HEAD`), secrets masked; everything else is for admins.
    pub(super) fn guarded(self) -> impl HttpServiceFactory + 'static {
        self.needing(Need::ViewerToRead)
    }

    /// Viewers may use every method, because none changes anything.
    pub(super) fn readable(self) -> impl HttpServiceFactory + 'static {
        self.needing(Need::Viewer)
    }

    /// For admins only, reading included: it shows secrets, or changes something by `GET`.
    pub(super) fn admin(self) -> impl HttpServiceFactory + 'static {
        self.needing(Need::Admin)
    }

    fn needing(self, need: Need) -> impl HttpServiceFactory + 'static {
        #[cfg(test)]
        declared::note(&self.path, &self.allow, Some(need));
        let is_led = self.is_led;
        self.with_wrong_methods()
            .wrap(from_fn(move |request, next| authenticate(need, is_led, request, next)))
            .wrap(from_fn(localise_errors))
    }

    fn with_wrong_methods(self) -> Resource {
        let allow = self.allow;
        self.resource.default_service(web::to(move || {
            let error = ApiError::wrong_method(&allow);
            async move { Err::<&'static str, _>(error) }
        }))
    }
}

/// What was declared on this thread, for tests that go over every route.
#[cfg(test)]
pub(super) mod declared {
    use std::cell::RefCell;

    use super::Need;

    /// Path inside of its scope, methods (empty = every one), need (`None` = open).
    pub(in crate::admin) type Route = (String, String, Option<Need>);

    thread_local! {
        static ROUTES: RefCell<Vec<Route>> = const { RefCell::new(Vec::new()) };
    }

    pub(super) fn note(path: &str, methods: &str, need: Option<Need>) {
        ROUTES.with_borrow_mut(|routes| routes.push((path.to_owned(), methods.to_owned(), need)));
    }

    /// Takes what was declared since the last call.
    pub(in crate::admin) fn take() -> Vec<Route> {
        ROUTES.with_borrow_mut(std::mem::take)
    }
}
