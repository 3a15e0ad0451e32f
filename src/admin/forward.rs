//! What only the leader can do or knows is asked of the leader, whichever node the client has asked.
//!
//! The request goes on as it came, its body as a stream, with the client's own credentials. What the leader cannot see, the
//! client's address, is said in a sealed header, by which the leader also knows that it must not be forwarded again.

use std::{io, net::IpAddr, rc::Rc, sync::Arc, time::Duration};

use actix_web::{
    Error, HttpRequest, HttpResponse,
    body::{BoxBody, SizedStream},
    dev::{Payload, ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{self, HeaderName, HeaderValue},
    },
    web,
};
use futures_util::StreamExt;
use gpt_load_cluster::{Cluster, lease::Role};
use gpt_load_schema::{secret::Secret, time::Timestamp};

use super::{
    AdminState,
    error::{ApiError, ErrorCode},
    messages,
};
use crate::{
    cluster::{Forwarded, SEAL, Seal},
    upstream::{Clients, OutboundBody, OutboundRequest, Profile, Target, TransportError, TransportKind, send},
};

/// How long the leader may take to begin its answer, the request's body included: an import may be large.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// How long a connection to the leader may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Headers that are of one connection only.
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::CONTENT_LENGTH,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::HOST,
];

/// The other nodes, as the management API knows them.
pub struct Peers {
    cluster: Cluster,
    seal: Seal,
}

/// Who carries out what a client asks.
pub(super) enum Leader {
    /// This node.
    Own,
    /// The node there.
    At(Target),
    /// Nobody at the moment.
    Nobody,
}

impl Peers {
    /// The nodes of `cluster`, which share the management key.
    pub fn new(cluster: Cluster, auth_key: &Secret) -> Self {
        Self { cluster, seal: Seal::new(auth_key) }
    }

    /// What this node shares with them.
    pub(super) const fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// What another node says of a request.
    pub(super) fn said(&self, request: &HttpRequest) -> Option<Forwarded> {
        let header = request.headers().get(SEAL)?.to_str().ok()?;
        self.seal.open(header, request.method().as_str(), path_and_query(request), Timestamp::now())
    }

    pub(super) fn leader(&self) -> Leader {
        if !self.cluster.is_shared {
            return Leader::Own;
        }
        let name = match &*self.cluster.lease.watch().borrow() {
            Role::Leader(_) => return Leader::Own,
            Role::Follower { leader: Some(name) } => name.clone(),
            Role::Follower { leader: None } => return Leader::Nobody,
        };
        let members = self.cluster.members.known();
        let leader = members.iter().map(|member| &member.node);
        match leader.into_iter().find(|node| node.name == name && node.instance != self.cluster.node.instance) {
            Some(node) => Leader::At(Target {
                profile: Arc::new(Profile {
                    connect_timeout: CONNECT_TIMEOUT,
                    allow_link_local: true,
                    ..Profile::default()
                }),
                scheme_https: node.is_tls,
                authority: node.address.clone(),
            }),
            None => Leader::Nobody,
        }
    }
}

/// One worker's connections to the leader.
pub struct Forwarder {
    /// The connections.
    pub clients: Clients,
}

/// Asks the leader at `target` instead of this node.
pub(super) async fn forward(target: &Target, request: ServiceRequest) -> Result<ServiceResponse<BoxBody>, Error> {
    let state = request.app_data::<web::Data<AdminState>>().cloned();
    let forwarder = request.app_data::<Rc<Forwarder>>().cloned();
    let (Some(state), Some(forwarder)) = (state, forwarder) else {
        return Ok(request.error_response(ApiError::later(messages::NO_LEADER)));
    };
    let (request, payload) = request.into_parts();
    let client = state.client_address(&request);
    let answer = match ask(state.peers(), &forwarder.clients, target, &request, payload, client).await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::warn!(%error, leader = target.authority, "the leader could not be asked");
            HttpResponse::from_error(refusal(&error))
        }
    };
    Ok(ServiceResponse::new(request, answer))
}

async fn ask(
    peers: &Peers,
    clients: &Clients,
    target: &Target,
    request: &HttpRequest,
    payload: Payload,
    client: IpAddr,
) -> Result<HttpResponse, TransportError> {
    let said = Forwarded { node: peers.cluster.node.name.clone(), client };
    let path = path_and_query(request);
    let sealed = peers.seal.close(&said, request.method().as_str(), path, Timestamp::now());
    let mut headers = header::HeaderMap::new();
    for (name, value) in request.headers() {
        if !HOP_BY_HOP.contains(name) && name != header::ORIGIN && name.as_str() != SEAL && name != header::EXPECT {
            headers.append(name.clone(), value.clone());
        }
    }
    // Digits, letters, `;`, `%`, `.` and `:` are what every header may hold.
    if let Ok(sealed) = HeaderValue::from_str(&sealed) {
        headers.insert(HeaderName::from_static(SEAL), sealed);
    }
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length: Option<u64> = length.and_then(|length| length.to_str().ok()?.parse().ok());
    let is_chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
    let body = match length {
        None | Some(0) if !is_chunked => OutboundBody::Empty,
        length => {
            let stream = payload.map(|chunk| chunk.map_err(io::Error::other));
            OutboundBody::Stream { length, stream: Box::pin(stream) }
        }
    };
    let method = request.method();
    let outbound = OutboundRequest { method, path_and_query: path, headers, body, head_timeout: HEAD_TIMEOUT };
    let response = send(clients, target, outbound).await?;
    let mut answer = HttpResponse::build(response.status);
    for (name, value) in &response.headers {
        if !HOP_BY_HOP.contains(name) && !name.as_str().starts_with("access-control-") {
            answer.append_header((name.clone(), value.clone()));
        }
    }
    let length = response.headers.get(header::CONTENT_LENGTH);
    let length: Option<u64> = length.and_then(|length| length.to_str().ok()?.parse().ok());
    let bodiless = *method == Method::HEAD || response.status.as_u16() == 204 || response.status.as_u16() == 304;
    Ok(match length {
        _ if bodiless => answer.finish(),
        Some(length) => answer.body(SizedStream::new(length, response.body)),
        None => answer.streaming(response.body),
    })
}

fn refusal(error: &TransportError) -> ApiError {
    match error.kind {
        TransportKind::Unsendable => ApiError::new(ErrorCode::BadRequest),
        _ if error.request_sent => ApiError::later(messages::LEADER_LOST),
        _ => ApiError::later(messages::NO_LEADER),
    }
}

fn path_and_query(request: &HttpRequest) -> &str {
    request.uri().path_and_query().map_or("/", |path| path.as_str())
}
