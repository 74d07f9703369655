//! Conversations as people ask for them: calls, transcripts, recordings, whatever shape the vCons have that hold them.

mod audio;
mod calls;
mod pages;
mod summary;
mod transcripts;
mod turns;
mod twilio;

use super::route::Route;

pub(super) fn routes() -> Vec<Route> {
    let mut routes = calls::routes();
    routes.extend(audio::routes());
    routes.extend(transcripts::routes());
    routes.extend(twilio::routes());
    routes
}
