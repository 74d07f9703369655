//! Routes: what is served where, what a caller needs for it, and what the OpenAPI document says of it, in one place.

use axum::Router;
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, on};

use super::Context;
use super::guard::{Door, guard};

/// What a caller needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Required {
    /// Nothing.
    Nothing,
    /// A key with the scope `read`.
    Read,
    /// A key with the scope `write`.
    Write,
    /// A key with the scope `admin`.
    Admin,
    /// A key for the ingress list that the call names.
    List,
}

/// A method that routes have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Verb {
    /// `GET`, and `HEAD` with it.
    Get,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `DELETE`
    Delete,
}

impl Verb {
    /// In lower case, as OpenAPI writes it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Verb::Get => "get",
            Verb::Post => "post",
            Verb::Put => "put",
            Verb::Delete => "delete",
        }
    }

    fn filter(self) -> MethodFilter {
        match self {
            Verb::Get => MethodFilter::GET,
            Verb::Post => MethodFilter::POST,
            Verb::Put => MethodFilter::PUT,
            Verb::Delete => MethodFilter::DELETE,
        }
    }
}

/// A parameter of a route.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    /// `path`, `query` or `header`.
    pub(super) place: &'static str,
    /// The name of its schema.
    pub(super) schema: &'static str,
    pub(super) required: bool,
    pub(super) repeated: bool,
    pub(super) about: &'static str,
}

/// A body, of a call or of an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Content {
    pub(super) media: &'static str,
    /// The name of its schema.
    pub(super) schema: &'static str,
}

/// One answer of a route.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) about: &'static str,
    pub(super) content: Option<Content>,
}

/// What is served at one path for one method.
pub(super) struct Route {
    pub(super) verb: Verb,
    pub(super) path: &'static str,
    pub(super) required: Required,
    pub(super) about: &'static str,
    pub(super) parameters: Vec<Parameter>,
    pub(super) takes: Option<Content>,
    pub(super) answers: Vec<Answer>,
    /// Whether keys that are bound to a tenant open it.
    pub(super) tenants: bool,
    service: MethodRouter<Context>,
}

impl Route {
    /// A route; `about` is one sentence without a full stop.
    pub(super) fn new<H, T>(verb: Verb, path: &'static str, required: Required, about: &'static str, handler: H) -> Self
    where
        H: Handler<T, Context>,
        T: 'static,
    {
        let service = on(verb.filter(), handler);
        let parameters = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).map(|name| {
            let (schema, about) = match name {
                "uuid" => ("Uuid", "The vCon"),
                "sid" => ("Sid", "The vCon, as Twilio would name it"),
                _ => ("Uuid", "The run"),
            };
            Parameter { name, place: "path", schema, required: true, repeated: false, about }
        });
        let parameters = parameters.collect();
        Route { verb, path, required, about, parameters, takes: None, answers: Vec::new(), tenants: false, service }
    }

    /// Open to keys that are bound to a tenant: the handler sees to it that they reach vCons of that tenant alone.
    pub(super) fn for_tenants(mut self) -> Self {
        self.tenants = true;
        self
    }

    fn parameter(mut self, parameter: Parameter) -> Self {
        self.parameters.push(parameter);
        self
    }

    /// A parameter of the query that may be left out.
    pub(super) fn query(self, name: &'static str, schema: &'static str, about: &'static str) -> Self {
        self.parameter(Parameter { name, place: "query", schema, required: false, repeated: false, about })
    }

    /// A parameter of the query that must be there.
    pub(super) fn wants(self, name: &'static str, schema: &'static str, about: &'static str) -> Self {
        self.parameter(Parameter { name, place: "query", schema, required: true, repeated: false, about })
    }

    /// A parameter of the query that may be there several times.
    pub(super) fn many(self, name: &'static str, schema: &'static str, about: &'static str) -> Self {
        self.parameter(Parameter { name, place: "query", schema, required: false, repeated: true, about })
    }

    /// A header.
    pub(super) fn header(self, name: &'static str, about: &'static str) -> Self {
        self.parameter(Parameter { name, place: "header", schema: "Text", required: false, repeated: false, about })
    }

    /// The body of the call.
    pub(super) fn takes(mut self, media: &'static str, schema: &'static str) -> Self {
        self.takes = Some(Content { media, schema });
        self
    }

    /// An answer in JSON.
    pub(super) fn gives(self, status: u16, about: &'static str, schema: &'static str) -> Self {
        self.gives_as(status, about, "application/json", schema)
    }

    /// An answer of another media type.
    pub(super) fn gives_as(
        mut self,
        status: u16,
        about: &'static str,
        media: &'static str,
        schema: &'static str,
    ) -> Self {
        self.answers.push(Answer { status, about, content: Some(Content { media, schema }) });
        self
    }

    /// An answer without a body.
    pub(super) fn ends(mut self, status: u16, about: &'static str) -> Self {
        self.answers.push(Answer { status, about, content: None });
        self
    }
}

/// A router with these routes, each behind its door.
pub(super) fn router(routes: Vec<Route>, context: &Context) -> Router {
    let served = routes.into_iter().fold(Router::new(), |router, route| {
        let door =
            Door { context: context.clone(), required: route.required, tenants: route.tenants, path: route.path };
        router.route(route.path, route.service.route_layer(from_fn_with_state(door, guard)))
    });
    served.with_state(context.clone())
}
