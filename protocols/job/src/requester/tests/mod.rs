//! Tests of the Requester: the rules one by one, and random events with crashes.

mod clock;
mod defences;
mod document;
mod endings;
mod explained;
mod logs;
mod overdue;
mod progress;
mod random;
mod restarts;
mod room;
mod rules;
mod samples;
mod strangers;
mod told;
mod world;
