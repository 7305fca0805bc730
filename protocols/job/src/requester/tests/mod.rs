//! Tests of the Requester: the rules one by one, and random events with crashes.

mod defences;
mod explained;
mod logs;
mod overdue;
mod random;
mod rules;
mod samples;
mod strangers;
mod world;
