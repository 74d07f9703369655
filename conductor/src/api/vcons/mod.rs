//! vCons: taking in, reading, finding, replacing, deleting.

mod accept;
mod check;
mod delete;
mod external;
mod hooked;
mod lines;
mod list;
mod post;
mod read;
mod replace;
mod search;

use super::route::Route;

pub(super) use accept::enqueue_stored;
pub(super) use read::is_known;

pub(super) fn routes() -> Vec<Route> {
    let mut routes = list::routes();
    routes.extend(post::routes());
    routes.extend(external::routes());
    routes.extend(read::routes());
    routes.extend(search::routes());
    routes.extend(replace::routes());
    routes.extend(delete::routes());
    routes.extend(lines::routes());
    routes
}
