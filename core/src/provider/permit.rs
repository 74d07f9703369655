//! A permit while its call is under way.

use std::sync::Arc;

use crate::store::{Coordination, Permit};

/// A permit that is settled when its call ends, however it ends: also when the call is given up because the link's time is
/// over. Nobody else would settle it, and its key would count a call under way for an hour.
pub(super) struct UnderWay {
    coordination: Arc<dyn Coordination>,
    permit: Option<Permit>,
}

impl UnderWay {
    pub(super) fn new(coordination: &Arc<dyn Coordination>, permit: Permit) -> Self {
        UnderWay { coordination: Arc::clone(coordination), permit: Some(permit) }
    }

    /// The call ended; `used` has the true amounts of what was estimated.
    pub(super) async fn settle(mut self, used: &[(String, f64)]) {
        let Some(permit) = self.permit.take() else { return };
        settle(&*self.coordination, &permit, used).await;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let Some(permit) = self.permit.take() else { return };
        let coordination = Arc::clone(&self.coordination);
        // Without a runtime the process is ending, and with it what it holds.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { settle(&*coordination, &permit, &[]).await });
        }
    }
}

async fn settle(coordination: &dyn Coordination, permit: &Permit, used: &[(String, f64)]) {
    if let Err(error) = coordination.settle(permit, used).await {
        // The permit then counts longer than it need; the call itself is done and paid for.
        tracing::warn!(permit = permit.id, %error, "the end of a call could not be told to the store");
    }
}
