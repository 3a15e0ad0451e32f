//! Security headers of the node's own answers.

use actix_web::middleware::DefaultHeaders;

/// Middleware for every answer that the node makes itself; answers of upstreams pass without it.
pub fn security_headers() -> DefaultHeaders {
    DefaultHeaders::new()
        .add(("X-Content-Type-Options", "nosniff"))
        .add(("Referrer-Policy", "strict-origin-when-cross-origin"))
        .add(("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()"))
        .add(("X-Frame-Options", "SAMEORIGIN"))
}
