//! `dlq list`: the queues, the letters of one, or its causes.

use clap::Args;
use comfy_table::Cell;
use serde_json::{Value, json};
use vconductor_core::store::{DeadLetter, Store};

use super::fingerprint::{Group, Groups};
use super::letters::{self, Letters, queue_name};
use crate::cli::age;
use crate::cli::configuration::counted;
use crate::cli::desk::Common;
use crate::cli::exit::{Exit, Result};
use crate::cli::output::{self, Format, HELP, number, styled};

const EXAMPLES: &str = "\
Examples:
  vconductor dlq list
  vconductor dlq list calls --limit 5
  vconductor dlq list storage:files --group
  vconductor dlq list calls --limit 100000 --output jsonl | jq -r .uuid";

/// How much of a message a table shows.
const EXCERPT: usize = 100;

/// List the queues of dead letters, or the letters of one, oldest run first
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct List {
    /// The queue, for example DLQ:calls, calls, storage:files; all queues with their counts where it is not given
    #[arg(value_name = "QUEUE")]
    queue: Option<String>,
    /// At most so many letters (or causes)
    #[arg(long, value_name = "N", default_value_t = 50, requires = "queue")]
    limit: usize,
    /// By cause: one line for failures that differ in ids and numbers only; reads the whole queue
    #[arg(long, requires = "queue")]
    group: bool,
    #[command(flatten)]
    common: Common,
}

impl List {
    pub(super) async fn run(&self) -> Result<Exit> {
        let store = self.common.open().await?.store;
        match &self.queue {
            None => self.queues(&*store).await?,
            Some(queue) if self.group => self.groups(&*store, &queue_name(queue)).await?,
            Some(queue) => self.letters(&*store, &queue_name(queue)).await?,
        }
        Ok(Exit::Done)
    }

    fn print<T>(&self, items: &[T], value: impl Fn(&T) -> Value, text: impl Fn(&[T]) -> String) -> Result<()> {
        match self.common.output {
            Format::Table if items.is_empty() => Ok(()),
            Format::Table => output::print(&text(items)),
            Format::Json => output::print_json(&items.iter().map(value).collect::<Vec<_>>()),
            Format::Jsonl => output::print_jsonl(items.iter().map(value)),
        }
    }

    async fn queues(&self, store: &dyn Store) -> Result<()> {
        let mut rows = Vec::new();
        for queue in store.dead_letter_queues().await? {
            let first = store.dead_letters(&queue.queue, None, 1).await?;
            rows.push((queue, first.first().map(|letter| letter.failure.at)));
        }
        if rows.is_empty() {
            output::say(format_args!("no dead letters in {}", store.describe()));
        }
        let value = |(queue, at): &(_, Option<_>)| {
            let queue: &vconductor_core::store::DeadLetterQueue = queue;
            json!({"queue": queue.queue, "letters": queue.letters, "oldest_failed_at": at.map(age::moment)})
        };
        self.print(&rows, value, |rows| {
            let mut table = output::table(&["QUEUE", "LETTERS", "OLDEST RUN FAILED"]);
            for (queue, at) in rows {
                let ago = at.map_or_else(|| "-".to_owned(), |at| format!("{} ago", age::age(at)));
                table.add_row([Cell::new(output::plain(&queue.queue)), number(queue.letters), Cell::new(ago)]);
            }
            output::table_text(&table)
        })
    }

    async fn letters(&self, store: &dyn Store, queue: &str) -> Result<()> {
        let mut letters = Letters::of(store, queue);
        let mut shown = Vec::new();
        while shown.len() < self.limit {
            let page = letters.page().await?;
            if page.is_empty() {
                break;
            }
            shown.extend(page.into_iter().take(self.limit - shown.len()));
        }
        self.print(&shown, letters::value, text)?;
        let count = letters::count(store, queue).await?;
        if count == 0 {
            letters::warn_of_empty(store, queue).await?;
        } else if count > shown.len() as u64 {
            output::say(format_args!("{} of {count} shown; more with --limit, all causes with --group", shown.len()));
        }
        Ok(())
    }

    async fn groups(&self, store: &dyn Store, queue: &str) -> Result<()> {
        let (mut letters, mut groups) = (Letters::of(store, queue), Groups::default());
        loop {
            let page = letters.page().await?;
            if page.is_empty() {
                break;
            }
            page.iter().for_each(|letter| groups.add(letter));
        }
        let groups = groups.sorted();
        if groups.is_empty() {
            letters::warn_of_empty(store, queue).await?;
        }
        let goes_on = |group: &Group| format!("vconductor replay --from dlq {queue} --group {}", group.id);
        let value = |group: &Group| {
            json!({
                "group": group.id, "letters": group.letters, "class": group.class, "step": group.step,
                "message": group.message, "oldest": age::moment(group.oldest), "newest": age::moment(group.newest),
                "example_run": group.example, "command": goes_on(group),
            })
        };
        let text = |groups: &[Group]| {
            let lines: String = groups.iter().map(|group| format!("  {}\n", styled(HELP, goes_on(group)))).collect();
            format!("{}\nlet a group go on:\n{lines}", causes(groups))
        };
        self.print(&groups[..groups.len().min(self.limit)], value, text)?;
        if groups.len() > self.limit {
            output::say(format_args!(
                "{} of {} shown; more with --limit",
                self.limit,
                counted(groups.len() as u64, "cause")
            ));
        }
        Ok(())
    }
}

fn text(letters: &[DeadLetter]) -> String {
    let mut table = output::table(&["UUID", "RUN", "STEP", "CLASS", "ATTEMPTS", "AGE", "MESSAGE"]);
    for letter in letters {
        let failure = &letter.failure;
        table.add_row([
            Cell::new(output::plain(&letter.uuid)),
            Cell::new(letter.run),
            Cell::new(output::plain(&failure.step)),
            Cell::new(failure.class),
            number(failure.attempts),
            number(age::age(failure.at)),
            Cell::new(excerpt(&failure.message)),
        ]);
    }
    output::table_text(&table)
}

fn causes(groups: &[Group]) -> String {
    let mut table =
        output::table(&["LETTERS", "GROUP", "STEP", "CLASS", "OLDEST", "NEWEST", "MESSAGE", "FOR EXAMPLE RUN"]);
    for group in groups {
        table.add_row([
            number(group.letters),
            Cell::new(&group.id),
            Cell::new(output::plain(&group.step)),
            Cell::new(group.class),
            number(age::age(group.oldest)),
            number(age::age(group.newest)),
            Cell::new(excerpt(&group.message)),
            Cell::new(group.example),
        ]);
    }
    output::table_text(&table)
}

fn excerpt(message: &str) -> String {
    let message = output::plain(message);
    match message.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{}...", &message[..end]),
        None => message,
    }
}
