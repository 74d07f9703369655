//! What is seen of the executions of links.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use vconductor_core::document::{Document, Edit};
use vconductor_core::error::{Class, Error, Result};
use vconductor_core::plugin::{Link, LinkContext, Outcome};
use vconductor_core::vcon::Vcon;

use super::answers::Answers;

/// What an execution came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Executed {
    /// The chain goes on.
    Continue,
    /// The chain ends here.
    Stop,
    /// The chain goes on with the vCon of this uuid.
    Switch(String),
    /// It waits for something outside.
    Park,
    /// It would have called somebody; the chain goes on without.
    WouldCall(String),
    /// It failed: class, message, what to do.
    Failed(Class, String, Option<String>),
}

/// One execution of a link.
#[derive(Debug, Clone)]
pub struct Execution {
    /// The link.
    pub link: String,
    /// Which of the links of all chains it is, in the order of the configuration.
    pub place: usize,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// Whether it is mocked.
    pub mocked: bool,
    /// What it came to.
    pub executed: Executed,
    /// How long it took.
    pub took: Duration,
    /// What it read.
    pub before: Vcon,
    /// What it asked to change.
    pub edits: Vec<Edit>,
    /// Lists that it pushes the vCon to.
    pub pushes: Vec<String>,
    /// What it said.
    pub notes: Vec<String>,
    /// What it cost, in US dollars.
    pub cost: Option<f64>,
}

impl Execution {
    /// The document with its edits.
    ///
    /// # Errors
    /// If an edit cannot be made.
    pub fn after(&self) -> Result<Document> {
        let mut document = self.before.document().clone();
        for edit in &self.edits {
            document.apply(edit)?;
        }
        Ok(document)
    }
}

/// All executions of a rehearsal.
pub(super) struct Log {
    answers: Arc<Answers>,
    /// Whether calls without an answer end the link, and not the chain.
    lenient: bool,
    executions: Mutex<Vec<Execution>>,
}

impl Log {
    pub(super) fn new(answers: Arc<Answers>, lenient: bool) -> Self {
        Log { answers, lenient, executions: Mutex::default() }
    }

    /// What was executed; of links that run side by side, in the order of the chain.
    pub(super) fn take(&self) -> Vec<Execution> {
        let mut executions = std::mem::take(&mut *self.executions.lock().unwrap_or_else(PoisonError::into_inner));
        executions.sort_by_key(|execution| execution.place);
        executions
    }
}

/// A link that is watched.
pub(super) struct Watched {
    pub(super) name: String,
    /// As [`Execution::place`].
    pub(super) place: usize,
    pub(super) link: Arc<dyn Link>,
    pub(super) mocked: bool,
    pub(super) log: Arc<Log>,
}

#[async_trait]
impl Link for Watched {
    async fn run(&self, vcon: &Vcon, context: &LinkContext<'_>) -> Result<Outcome> {
        let unanswered = self.log.answers.unanswered();
        let began = Instant::now();
        let mut result = self.link.run(vcon, context).await;
        let took = began.elapsed();
        let executed = match &result {
            Ok(Outcome::Continue) => Executed::Continue,
            Ok(Outcome::Stop) => Executed::Stop,
            Ok(Outcome::Switch(uuid)) => Executed::Switch(uuid.clone()),
            Ok(Outcome::Park { .. }) => Executed::Park,
            Err(error)
                if self.log.lenient && would_reach_out(error, self.log.answers.unanswered() > unanswered, context) =>
            {
                let call = self.log.answers.last().filter(|_| self.log.answers.unanswered() > unanswered);
                result = Ok(Outcome::Continue);
                Executed::WouldCall(call.unwrap_or_else(|| "a process".to_owned()))
            }
            Err(error) => {
                Executed::Failed(error.class(), error.chain_text(), error.help_text().map(ToString::to_string))
            }
        };
        let skipped = matches!(executed, Executed::WouldCall(_) | Executed::Failed(..));
        let execution = context.look(|requested| Execution {
            link: self.name.clone(),
            place: self.place,
            attempt: context.step.attempt,
            mocked: self.mocked,
            executed,
            took,
            before: vcon.clone(),
            edits: if skipped { Vec::new() } else { requested.edits.clone() },
            pushes: requested.pushes.clone(),
            notes: requested.notes.clone(),
            cost: requested.usage.as_ref().and_then(|usage| usage.cost),
        });
        self.log.executions.lock().unwrap_or_else(PoisonError::into_inner).push(execution);
        result
    }
}

/// Whether a link failed only because nothing outside is reached.
fn would_reach_out(error: &Error, unanswered: bool, context: &LinkContext<'_>) -> bool {
    unanswered || (!context.services.processes && error.chain_text().contains("no process is started here"))
}
