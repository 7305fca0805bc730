//! All integration tests in one program, so that it is linked once.

mod cli;
mod hostcalls;
mod logs;
mod mesh;
mod processes;
mod strangers;
mod tidy;
