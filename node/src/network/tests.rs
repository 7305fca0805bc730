//! Real swarms over loopback.
