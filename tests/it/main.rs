//! All integration tests in one program, so that it is linked once.

mod cli;
mod granted;
mod hostcalls;
mod logs;
mod mesh;
mod mistakes;
mod operator;
mod processes;
mod strangers;
mod tidy;
mod tours;
