//! Tests of the Requester: the rules one by one, and random events with crashes.

mod defences;
mod document;
mod endings;
mod logs;
mod overdue;
mod random;
mod rules;
mod samples;
mod strangers;
mod world;
