//! Lists: their depth, what is put on them and taken off, and dead letters.

mod dead;
mod depth;
mod egress;
mod ingress;

use super::route::Route;

pub(super) fn routes() -> Vec<Route> {
    let mut routes = depth::routes();
    routes.extend(egress::routes());
    routes.extend(ingress::routes());
    routes.extend(dead::routes());
    routes
}
