//! Watches: a cursor into a resource's log, written to the client as newline-delimited JSON.
//!
//! A watch buffers nothing but one small channel: what it has not sent yet is in the log. A client
//! that is so slow that the log moved past its cursor is cut off, as the real server cuts it.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::encode::Format;
use crate::faults::{Action, RequestFacts};
use crate::list::{self, is_seen};
use crate::request::Query;
use crate::resource::Resource;
use crate::selector::Selector;
use crate::server::Shared;
use crate::status_error::{Cause, StatusError};
use crate::store::{Change, Event};

/// How many events are read from the log at once.
const BATCH: usize = 64;

/// How long before its end a watch gets its last bookmark.
const BEFORE_END: Duration = Duration::from_secs(2);

/// What a watch asks for.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    selector: Selector,
    revision: Option<u64>,
    bookmarks: bool,
    /// `sendInitialEvents`: asked for, forbidden, or not mentioned.
    initial: Option<bool>,
    timeout: Duration,
}

/// A piece of the stream, or the cut of its connection.
pub(crate) type Piece = Result<Bytes, std::io::Error>;

/// A running watch.
pub(crate) struct Watch {
    shared: Arc<Shared>,
    resource: Arc<Resource>,
    namespace: String,
    options: Options,
    format: Format,
    facts: RequestFacts,
    cursor: u64,
    /// Nothing was sent yet: a table names its columns once.
    first: bool,
    /// Events that may still be sent before the watch is cut.
    budget: Option<u64>,
    seen_rules: u64,
}

/// Why a watch ends.
enum End {
    /// In good order.
    Closed,
    /// The connection is cut.
    Cut,
}

impl Options {
    /// Reads a query.
    pub(crate) fn from_query(resource: &Resource, query: &Query) -> Result<Self, StatusError> {
        let initial = query
            .get("sendInitialEvents")
            .map(|_| query.flag("sendInitialEvents"));
        let matching = query.get("resourceVersionMatch");
        if initial.is_some() && matching != Some("NotOlderThan") {
            let cause = Cause::forbidden(
                "resourceVersionMatch",
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            );
            return Err(StatusError::invalid(
                "meta.k8s.io",
                "ListOptions",
                "",
                &[cause],
            ));
        }
        list::Options::from_query(resource, query)?;
        let seconds = query
            .get("timeoutSeconds")
            .and_then(|text| text.parse::<u64>().ok());
        Ok(Self {
            selector: list::selector_of(resource, query)?,
            revision: list::revision_of(query)?,
            bookmarks: query.flag("allowWatchBookmarks"),
            initial,
            timeout: Duration::from_secs(seconds.filter(|seconds| *seconds > 0).unwrap_or(1800)),
        })
    }
}

impl Watch {
    /// A watch that has not read anything yet.
    pub(crate) fn new(
        shared: Arc<Shared>,
        resource: Arc<Resource>,
        namespace: &str,
        options: Options,
        format: Format,
        facts: RequestFacts,
    ) -> Self {
        let seen_rules = shared.faults.newest();
        let cut = shared
            .faults
            .take(&facts, |action| matches!(action, Action::CutWatch { .. }));
        let budget = match cut {
            Some(Action::CutWatch { after_events }) => Some(after_events),
            _ => None,
        };
        Self {
            shared,
            resource,
            namespace: namespace.to_owned(),
            options,
            format,
            facts,
            cursor: 0,
            first: true,
            budget,
            seen_rules,
        }
    }

    /// Writes events until the time is over, the client is gone or the server stops.
    pub(crate) async fn run(mut self, sender: mpsc::Sender<Piece>, stop: CancellationToken) {
        let end = tokio::select! {
            () = stop.cancelled() => End::Closed,
            () = sender.closed() => End::Closed,
            end = self.follow(&sender) => end,
        };
        if matches!(end, End::Cut) {
            let cut =
                std::io::Error::new(std::io::ErrorKind::ConnectionAborted, "the watch is cut");
            let _ = sender.send(Err(cut)).await;
        }
    }

    async fn follow(&mut self, sender: &mpsc::Sender<Piece>) -> End {
        let deadline = Instant::now() + self.options.timeout;
        let mut next_bookmark = self.next_bookmark(deadline);
        let mut revisions = self.shared.revisions.subscribe();
        let mut rules = self.shared.faults.changes();
        if let Err(end) = self.start(sender).await {
            return end;
        }
        loop {
            self.shared.faults.resumed().await;
            match self.pump(sender).await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(end) => return end,
            }
            tokio::select! {
                changed = changed(&mut revisions) => if !changed { return End::Closed },
                _ = rules.changed() => {
                    if self.is_cut() {
                        return End::Cut;
                    }
                }
                () = tokio::time::sleep_until(next_bookmark) => {
                    next_bookmark = self.next_bookmark(deadline);
                    if let Err(end) = self.send_bookmark(sender, false).await {
                        return end;
                    }
                }
                () = tokio::time::sleep_until(deadline) => return End::Closed,
            }
        }
    }

    /// In a period, but once shortly before the end too.
    fn next_bookmark(&self, deadline: Instant) -> Instant {
        let now = Instant::now();
        let periodic = now + self.shared.bookmark_every;
        match deadline.checked_sub(BEFORE_END) {
            Some(last) if last > now => periodic.min(last),
            _ => periodic,
        }
    }

    fn is_cut(&mut self) -> bool {
        self.shared
            .faults
            .cuts_open_watch(&self.facts, &mut self.seen_rules)
    }

    /// Sends the initial events and sets the cursor.
    async fn start(&mut self, sender: &mpsc::Sender<Piece>) -> Result<(), End> {
        let unset = matches!(self.options.revision, None | Some(0));
        let initial = self.options.initial.unwrap_or(unset);
        let (objects, now) = {
            let state = self.shared.state();
            let objects: Vec<Arc<Value>> = if initial {
                state
                    .store
                    .iter(&self.resource.store_name())
                    .map(|(_, object)| Arc::clone(object))
                    .filter(|object| self.sees(object))
                    .collect()
            } else {
                Vec::new()
            };
            (objects, state.store.revision())
        };
        self.cursor = match self.options.revision {
            Some(revision) if !unset && !initial => revision,
            _ => now,
        };
        for object in objects {
            self.send_object(sender, Change::Added, &object).await?;
        }
        if self.options.initial == Some(true) && self.options.bookmarks {
            self.send_bookmark(sender, true).await?;
        }
        Ok(())
    }

    fn sees(&self, object: &Value) -> bool {
        is_seen(
            &self.resource,
            &self.namespace,
            &self.options.selector,
            object,
        )
    }

    /// Sends what the log has after the cursor; says whether there was anything.
    async fn pump(&mut self, sender: &mpsc::Sender<Piece>) -> Result<bool, End> {
        let read = {
            let state = self.shared.state();
            let events = state
                .store
                .events_after(&self.resource.store_name(), self.cursor, BATCH);
            let served = state
                .registry
                .serves(&self.resource.group, &self.resource.version);
            let now = state.store.revision();
            events.map(|events| (events, served, now))
        };
        let Ok((events, served, now)) = read else {
            let newest = self.shared.state().store.revision();
            let message = format!("too old resource version: {} ({newest})", self.cursor);
            let status = StatusError::expired(message).to_value();
            self.send(sender, &json!({"type": "ERROR", "object": status}))
                .await?;
            return Err(End::Closed);
        };
        let Some(last) = events.last().map(|event| event.revision) else {
            self.cursor = self.cursor.max(now);
            return if served { Ok(false) } else { Err(End::Closed) };
        };
        for event in &events {
            self.send_event(sender, event).await?;
        }
        self.cursor = last;
        Ok(true)
    }

    /// An object that stops being selected is deleted to this watch, one that starts is added.
    async fn send_event(&mut self, sender: &mpsc::Sender<Piece>, event: &Event) -> Result<(), End> {
        let was = event
            .before
            .as_ref()
            .is_some_and(|before| self.sees(before));
        let is = event.change != Change::Deleted && self.sees(&event.object);
        let change = match (was, is) {
            (false, true) => Change::Added,
            (true, true) => Change::Modified,
            (true, false) => Change::Deleted,
            (false, false) => return Ok(()),
        };
        let object = match (&event.before, change, event.change) {
            // It is still there, but not for this watch: its last matching state, as of now.
            (Some(before), Change::Deleted, Change::Modified) => {
                let mut last = Value::clone(before);
                let version = json!(event.revision.to_string());
                crate::fields::set(&mut last, &["metadata", "resourceVersion"], version);
                Arc::new(last)
            }
            _ => Arc::clone(&event.object),
        };
        self.send_object(sender, change, &object).await
    }

    async fn send_object(
        &mut self,
        sender: &mpsc::Sender<Piece>,
        change: Change,
        object: &Arc<Value>,
    ) -> Result<(), End> {
        match &mut self.budget {
            Some(0) => return Err(End::Cut),
            Some(left) => *left -= 1,
            None => {}
        }
        let shown = self.format.event(&self.resource, object, self.first);
        self.first = false;
        let event = json!({"type": change.word(), "object": shown});
        self.send(sender, &event).await?;
        let twice = |action: &Action| *action == Action::DuplicateEvents;
        if self.shared.faults.take(&self.facts, twice).is_some() {
            self.send(sender, &event).await?;
        }
        Ok(())
    }

    async fn send_bookmark(
        &mut self,
        sender: &mpsc::Sender<Piece>,
        initial_end: bool,
    ) -> Result<(), End> {
        if !self.options.bookmarks {
            return Ok(());
        }
        let shown = self
            .format
            .bookmark(&self.resource, self.cursor, initial_end);
        self.send(sender, &json!({"type": "BOOKMARK", "object": shown}))
            .await
    }

    async fn send(&self, sender: &mpsc::Sender<Piece>, event: &Value) -> Result<(), End> {
        let mut line = event.to_string();
        line.push('\n');
        sender
            .send(Ok(Bytes::from(line)))
            .await
            .map_err(|_| End::Closed)
    }
}

async fn changed(revisions: &mut watch::Receiver<u64>) -> bool {
    revisions.changed().await.is_ok()
}
