//! Routes that answer a wrong method with what would be right.

use actix_web::{
    FromRequest, Handler, Resource, Responder,
    dev::HttpServiceFactory,
    guard::{self, Guard},
    middleware::from_fn,
    web,
};

use super::{auth::authenticate, envelope::localise_errors, error::ApiError};

/// The handlers of one path, with and without a slash at its end.
pub(super) struct Endpoint {
    #[cfg(test)]
    path: String,
    resource: Resource,
    allow: String,
}

impl Endpoint {
    /// The path inside of its scope.
    pub(super) fn at(path: &str) -> Self {
        Self {
            #[cfg(test)]
            path: path.to_owned(),
            resource: web::resource([path.to_owned(), format!("{path}/")]),
            allow: String::new(),
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
    pub(super) fn any<H, A>(self, handler: H) -> Self
    where
        H: Handler<A>,
        A: FromRequest + 'static,
        H::Output: Responder + 'static,
    {
        Self { resource: self.resource.route(web::route().to(handler)), ..self }
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
        Self { resource: self.resource.route(web::route().guard(guard).to(handler)), ..self }
    }

    /// Open to everyone.
    pub(super) fn open(self) -> impl HttpServiceFactory + 'static {
        self.with_wrong_methods().wrap(from_fn(localise_errors))
    }

    /// Open to holders of the management key.
    pub(super) fn guarded(self) -> impl HttpServiceFactory + 'static {
        self.with_wrong_methods().wrap(from_fn(authenticate)).wrap(from_fn(localise_errors))
    }

    fn with_wrong_methods(self) -> Resource {
        let allow = self.allow;
        #[cfg(test)]
        REGISTERED.with_borrow_mut(|all| all.push((self.path, allow.clone())));
        self.resource.default_service(web::to(move || {
            let error = ApiError::wrong_method(&allow);
            async move { Err::<&'static str, _>(error) }
        }))
    }
}

#[cfg(test)]
thread_local! {
    /// Path inside of its scope and methods of every endpoint that this thread has made; no methods = all of them.
    pub(super) static REGISTERED: std::cell::RefCell<Vec<(String, String)>> = const { std::cell::RefCell::new(Vec::new()) };
}
